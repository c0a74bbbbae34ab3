import io.debezium.ddl.parser.oracle.generated.PlSqlLexer;
import io.debezium.ddl.parser.oracle.generated.PlSqlParser;
import java.nio.charset.StandardCharsets;
import org.antlr.v4.runtime.BaseErrorListener;
import org.antlr.v4.runtime.CharStreams;
import org.antlr.v4.runtime.CommonTokenStream;
import org.antlr.v4.runtime.RecognitionException;
import org.antlr.v4.runtime.Recognizer;

/** Reads texts, each ended by a zero, and prints a line for each: what a grammar of PL/SQL says against it first, or nothing. */
class PlSqlSyntax {
  public static void main(String[] arguments) throws Exception {
    String all = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    for (String text : all.split("\0")) System.out.println(firstFault(text));
  }

  static String firstFault(String text) {
    StringBuilder fault = new StringBuilder();
    BaseErrorListener listener = new BaseErrorListener() {
      @Override
      public void syntaxError(Recognizer<?, ?> by, Object at, int line, int column, String message, RecognitionException e) {
        if (fault.length() == 0) fault.append(line + ":" + column + " " + message.replace('\n', ' '));
      }
    };
    // The grammar knows its words in capitals.
    PlSqlLexer lexer = new PlSqlLexer(CharStreams.fromString(text.toUpperCase()));
    PlSqlParser parser = new PlSqlParser(new CommonTokenStream(lexer));
    lexer.removeErrorListeners();
    parser.removeErrorListeners();
    lexer.addErrorListener(listener);
    parser.addErrorListener(listener);
    parser.sql_script();
    return fault.toString();
  }
}
