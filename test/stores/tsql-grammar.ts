import { ANTLRInputStream, CommonTokenStream, TSQLGrammar, TSqlLexer } from 'antlr4ts-sql';

/** What a complete grammar of T-SQL (antlr/grammars-v4) has against a script; nothing when it takes it. */
export function faultsIn(script: string): string[] {
  const faults: string[] = [];
  const listener = {
    syntaxError: (_recognizer: unknown, _symbol: unknown, line: number, column: number, message: string) => {
      faults.push(`${line}:${column} ${message.slice(0, 100)}`);
    },
  };
  // The grammar knows words in upper case only.
  const lexer = new TSqlLexer(new ANTLRInputStream(script.toUpperCase()));
  lexer.removeErrorListeners();
  lexer.addErrorListener(listener);
  const parser = new TSQLGrammar.TSqlParser(new CommonTokenStream(lexer));
  parser.removeErrorListeners();
  parser.addErrorListener(listener);
  parser.tsql_file();
  return faults;
}
