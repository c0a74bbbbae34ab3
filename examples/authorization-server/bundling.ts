/** How esbuild makes a function of a file, for the stack and for the test. */
export const bundling = {
  mainFields: ['module', 'main'],
  minify: true,
  // oidc-provider tells its models apart, and the adapter their stores, by the names of their classes.
  keepNames: true,
  /** Embedded, and a driver in C. */
  external: ['@electric-sql/pglite', 'pg-native'],
  /** Some packages ask for Node's own modules as CommonJS does. */
  banner: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
};
