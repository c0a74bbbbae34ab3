import { posix } from 'node:path';
import { parseSync, type StringLiteral, Visitor } from 'oxc-parser';

/** A file of the repository: its path from the root with `/`, and its whole text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  /** A file of the repository by its path, or a package or `node:` module by its name. */
  readonly target: string;
  /** Whether it is a file of the repository. */
  readonly local: boolean;
  /** Gone when the types are: it loads nothing. */
  readonly typeOnly: boolean;
}

/** What the rules look at in a TypeScript file. */
export interface Module {
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  readonly reexports: boolean;
  readonly defaultExport: boolean;
  /** Where it reads a clock or chance that nobody handed to it, as it is written. */
  readonly ambient: readonly string[];
}

const findTarget = (path: string, specifier: string): Pick<Import, 'target' | 'local'> => {
  const local = specifier.startsWith('.');
  const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  return { local, target: local ? posix.join(posix.dirname(path), specifier) : name };
};

const ambientCalls = new Set(['Date.now', 'Math.random']);

/** Parses a TypeScript file; comments and texts in quotes are no code. */
export const parseModule = ({ path, text }: SourceFile): Module => {
  const { program, errors } = parseSync(path, text);
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`);
  const imports: Import[] = [];
  const ambient: string[] = [];
  let reexports = false;
  let defaultExport = false;
  const add = ({ value }: StringLiteral, typeOnly: boolean) => imports.push({ ...findTarget(path, value), typeOnly });

  new Visitor({
    ImportDeclaration: (node) => {
      add(node.source, node.importKind === 'type');
    },
    ExportAllDeclaration: (node) => {
      add(node.source, node.exportKind === 'type');
      reexports = true;
    },
    ExportNamedDeclaration: (node) => {
      if (node.specifiers.some(({ exported }) => 'name' in exported && exported.name === 'default'))
        defaultExport = true;
      if (node.source === null) return;
      add(node.source, node.exportKind === 'type');
      reexports = true;
    },
    ImportExpression: ({ source }) => {
      if (source.type === 'Literal' && typeof source.value === 'string') add(source, false);
    },
    TSImportType: (node) => {
      add(node.source, true);
    },
    ExportDefaultDeclaration: () => {
      defaultExport = true;
    },
    MemberExpression: ({ start, end }) => {
      const written = text.slice(start, end);
      if (ambientCalls.has(written)) ambient.push(written);
    },
    NewExpression: ({ callee, arguments: given }) => {
      if (given.length === 0 && callee.type === 'Identifier' && callee.name === 'Date') ambient.push('new Date()');
    },
  }).visit(program);

  const lines = text.trimEnd().split('\n').length;
  return { path, lines, imports, reexports, defaultExport, ambient };
};
