// What of the driver `ibm_db` 4 the store uses: it brings no types that say as much.

/** How a value is given, or what is to come out of a procedure (`Length`: the most bytes). */
export interface Parameter {
  readonly ParamType: 'INPUT' | 'OUTPUT';
  readonly CType: 'BINARY' | 'CHAR' | 'BIGINT';
  /** A number of ODBC's, or a name. */
  readonly SQLType: number | 'BIGINT';
  readonly Data: Uint8Array | string | number | null;
  readonly Length?: number;
}

/** Of a query: its rows are still to come. */
export interface Cursor {
  fetchAll(): Promise<readonly unknown[]>;
  close(done: () => void): void;
}

export interface Connection {
  /** What came out of a procedure, in the order of its parameters; of a query its rows, but see `rowsOf`. */
  query(text: string, parameters?: readonly Parameter[]): Promise<readonly unknown[]>;
  queryResult(text: string, parameters?: readonly Parameter[]): Promise<readonly [Cursor, ...unknown[]]>;
  beginTransactionSync(): void;
  endTransaction(rollback: boolean): Promise<unknown>;
  close(): Promise<unknown>;
  /** By number of ODBC’s `SQLGetInfo`. */
  getInfoSync?(about: number): unknown;
}

export interface Driver {
  open(connectionString: string): Promise<Connection>;
}
