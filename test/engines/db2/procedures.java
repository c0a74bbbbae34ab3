import java.io.StringWriter;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * For tests alone: runs the SQL PL of sql/db2 inside Apache Derby. Control flow, variables and handlers are interpreted here, by the
 * rules of Db2; every expression, condition and statement is Derby's own, in the caller's transaction, on its rows and locks. What
 * is not part of this subset is refused when it is parsed.
 */
public final class procedures {
  /** What Db2 has and Derby has not, or calls otherwise. Nothing else of the text is changed but names of variables. */
  private static final String[][] REWRITES = {
    {"WITH RS USE AND KEEP UPDATE LOCKS", "FOR UPDATE WITH RS"},
    {"SKIP LOCKED DATA", ""}, // waits where Db2 skips
    {"\\bSUBSTR\\(", "db2.part("}, // of bytes
    {"EXCLUDE NULL KEYS", ""},
    {"ORGANIZE BY ROW", ""},
    {"^ALTER TABLE \\w+ (PCTFREE \\d+|VOLATILE CARDINALITY)$", ""},
  };

  /** Derby's own, as Db2 calls them. */
  private static final Map<String, String> STATES = Map.of("40XL1", "40001", "X0Y32", "42710", "42X05", "42704", "42X04", "42703", "42X14", "42703", "42X01", "42601");

  private static final Map<String, Routine> ROUTINES = new ConcurrentHashMap<>();

  record Routine(List<Variable> parameters, Block body) {}

  record Variable(String mode, String name, String type) {
    boolean isBytes() { return type.endsWith("FOR BIT DATA"); }
    boolean isText() { return type.startsWith("VARCHAR") && !isBytes(); }
    /** How Derby declares the parameter: its numbers that come out cannot be NULL, its decimals can. */
    String derbyType() { return isBytes() || isText() ? type : mode.equals("OUT") ? "DECIMAL(19, 0)" : "BIGINT"; }
    String javaType() {
      String type = isBytes() ? "byte[]" : isText() ? "String" : mode.equals("OUT") ? "BigDecimal" : "Long";
      return mode.equals("OUT") ? type + "[]" : type;
    }
    String javaName() {
      return javaType().replace("String", "java.lang.String").replace("Long", "java.lang.Long").replace("BigDecimal", "java.math.BigDecimal");
    }
  }

  interface Step { void run(Frame frame) throws SQLException; }
  record Handler(boolean exits, String condition, Step action) {}
    record Block(Map<String, String> declared, Map<String, Sql> defaults, Map<String, Sql> cursors, List<Handler> handlers, List<Step> steps) {}
  record Sql(String text, List<String> names) {}

  /** What one call works with. */
  static final class Frame {
    final Connection connection;
    final Map<String, String> types = new HashMap<>();
    final Map<String, Object> values = new HashMap<>();
    final Map<String, ResultSet> open = new HashMap<>();
    Deque<Block> blocks = new ArrayDeque<>();
    long changed;
    SQLException signalled;
    Frame(Connection connection) { this.connection = connection; }
  }

  /** A handler is done with a block, or has failed: that block ends, whatever it was in the middle of. */
  static final class Exit extends RuntimeException {
    final Block block;
    final SQLException failure;
    Exit(Block block, SQLException failure) {
      super(null, failure, false, false);
      this.block = block;
      this.failure = failure;
    }
  }

  // --- What Derby calls

  /** Runs what the driver sent: CREATE PROCEDURE, a block, or DDL. */
  public static void execute(String text) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:default:connection")) {
      Parser parser = new Parser(text);
      if (parser.at("CREATE")) define(parser, text, connection);
      else if (parser.at("BEGIN")) run(parser.blockAndEnd(new HashMap<>()), new Frame(connection));
      else throw new SQLException("neither a procedure nor a block", "42601");
    } catch (SQLException e) {
      throw outward(e);
    }
  }

  public static Object[] call(String id, Object... given) throws SQLException {
    Routine routine = ROUTINES.get(id);
    try (Connection connection = DriverManager.getConnection("jdbc:default:connection")) {
      Frame frame = new Frame(connection);
      int next = 0;
      for (Variable parameter : routine.parameters) {
        frame.types.put(parameter.name, parameter.type);
        frame.values.put(parameter.name, parameter.mode.equals("IN") ? given[next++] : null);
      }
      run(routine.body, frame);
      return routine.parameters.stream().filter((each) -> each.mode.equals("OUT"))
        .map((each) -> frame.values.get(each.name) instanceof Long number ? BigDecimal.valueOf(number) : frame.values.get(each.name)).toArray();
    } catch (SQLException e) {
      throw outward(e);
    }
  }

  /** Derby lets only states of class 38 out of a routine: the relay reads Db2's from the message. */
  private static SQLException outward(SQLException e) {
    String state = STATES.getOrDefault(e.getSQLState(), e.getSQLState());
    if (!state.equals("40001")) System.err.println("sqlstate=" + state + " " + e.getMessage());
    return new SQLException("sqlstate=" + state + " " + e.getMessage(), switch (state) {
      case "40001" -> "38911";
      case "22001" -> "38302";
      case "42704" -> "38204";
      case "42601" -> "38104";
      case "42703" -> "38206";
      default -> "38999";
    }, e);
  }

  private static void define(Parser parser, String text, Connection connection) throws SQLException {
    for (String word : "CREATE OR REPLACE PROCEDURE".split(" ")) parser.expect(word);
    String name = parser.word();
    List<Variable> parameters = parser.parameters();
    for (String word : "LANGUAGE SQL MODIFIES SQL DATA".split(" ")) parser.expect(word);
    Map<String, String> scope = new HashMap<>();
    for (Variable parameter : parameters) scope.put(parameter.name, parameter.type);
    Block body = parser.blockAndEnd(scope);
    for (Sql sql : parser.statements) connection.prepareStatement(sql.text).close(); // as Db2 does: tables and columns are there
    String id = idOf(name, text);
    ROUTINES.put(id, new Routine(parameters, body));
    if (!Files.exists(Path.of(System.getProperty("procedures.classes"), id + ".class"))) compile(List.of(stub(id, parameters)));
    List<String> declared = new ArrayList<>(), types = new ArrayList<>();
    for (Variable parameter : parameters) {
      declared.add(parameter.mode + " " + parameter.name + " " + parameter.derbyType());
      types.add(parameter.javaName());
    }
    try (Statement statement = connection.createStatement()) {
      try { statement.execute("DROP PROCEDURE " + name); } catch (SQLException none) { /* it is new */ }
      statement.execute("CREATE PROCEDURE " + name + " (" + String.join(", ", declared) + ") LANGUAGE JAVA PARAMETER STYLE JAVA MODIFIES SQL DATA"
        + " EXTERNAL NAME '" + id + ".call(" + String.join(", ", types) + ")'");
    }
  }

  private static String idOf(String name, String text) { return "p" + Integer.toHexString(new Parser(text).tokens.hashCode()) + "_" + name.toLowerCase(Locale.ROOT); }

  /** Makes the classes of all procedures of a script at once: one by one, as they are created, takes a second each. */
  public static void prepare(String script) throws SQLException {
    List<JavaFileObject> stubs = new ArrayList<>();
    for (String text : script.split("(?m)@\\s*$")) {
      Matcher head = Pattern.compile("(?m)^CREATE OR REPLACE PROCEDURE (\\w+)").matcher(text);
      if (!head.find()) continue;
      Parser parser = new Parser(text.substring(head.end()));
      stubs.add(stub(idOf(head.group(1), text.substring(head.start())), parser.parameters()));
    }
    compile(stubs);
  }

  /** Derby calls a method with the very parameters of the procedure. */
  private static JavaFileObject stub(String id, List<Variable> parameters) {
    List<String> declared = new ArrayList<>(), given = new ArrayList<>(List.of("\"" + id + "\""));
    StringBuilder after = new StringBuilder();
    int outs = 0;
    for (Variable each : parameters) {
      declared.add(each.javaType() + " " + each.name);
      if (each.mode.equals("IN")) given.add("(Object) " + each.name);
      else after.append(each.name).append("[0] = (").append(each.javaType().replaceFirst("\\[]$", "")).append(") out[").append(outs++).append("];\n");
    }
    String source = "import java.math.BigDecimal;\npublic class " + id + " { public static void call(" + String.join(", ", declared)
      + ") throws java.sql.SQLException { Object[] out = procedures.call(" + String.join(", ", given) + ");\n" + after + "} }";
    return new SimpleJavaFileObject(URI.create("string:///" + id + ".java"), JavaFileObject.Kind.SOURCE) {
      @Override public CharSequence getCharContent(boolean ignoreEncodingErrors) { return source; }
    };
  }

  private static void compile(List<JavaFileObject> files) throws SQLException {
    StringWriter said = new StringWriter();
    List<String> options = List.of("-d", System.getProperty("procedures.classes"), "-cp", System.getProperty("java.class.path"), "-proc:none");
    if (!ToolProvider.getSystemJavaCompiler().getTask(said, null, null, options, null, files).call())
      throw new SQLException(said.toString(), "42601");
  }

  public static byte[] part(byte[] bytes, int from, int length) { return bytes == null ? null : java.util.Arrays.copyOfRange(bytes, from - 1, from - 1 + length); }

  // --- Running

  private static void run(Block block, Frame frame) throws SQLException {
    frame.types.putAll(block.declared);
    for (String name : block.declared.keySet()) frame.values.put(name, null);
    for (var each : block.defaults.entrySet()) assign(frame, each.getKey(), evaluate(frame, each.getValue(), frame.types.get(each.getKey())));
    frame.blocks.addFirst(block);
    try {
      run(block.steps, frame);
    } catch (Exit exit) {
      if (exit.block != block) throw exit;
      if (exit.failure != null) throw exit.failure;
    } finally {
      frame.blocks.removeFirst();
    }
  }

  private static void run(List<Step> steps, Frame frame) throws SQLException {
    for (Step step : steps) {
      try {
        step.run(frame);
      } catch (SQLException e) {
        handle(e, frame);
      }
    }
  }

  /** The nearest block's handler for this very state, or else for its class. Within it, those of the blocks around are in force. */
  private static void handle(SQLException e, Frame frame) throws SQLException {
    String state = STATES.getOrDefault(e.getSQLState(), e.getSQLState());
    String general = state.equals("02000") ? "NOT FOUND" : "SQLEXCEPTION";
    List<Block> blocks = new ArrayList<>(frame.blocks);
    for (int depth = 0; depth < blocks.size(); depth++) {
      Block block = blocks.get(depth);
      for (String condition : List.of(state, general)) {
        for (Handler handler : block.handlers) {
          if (!handler.condition.equals(condition)) continue;
          SQLException before = frame.signalled;
          frame.signalled = e;
          frame.blocks = new ArrayDeque<>(blocks.subList(depth + 1, blocks.size()));
          try {
            handler.action.run(frame);
          } catch (SQLException failure) {
            throw new Exit(block, failure);
          } finally {
            frame.signalled = before;
            frame.blocks = new ArrayDeque<>(blocks);
          }
          if (handler.exits) throw new Exit(block, null);
          return;
        }
      }
    }
    if (!state.equals("02000")) throw e;
  }

  private static SQLException notFound() { return new SQLException("no row", "02000"); }

  private static PreparedStatement prepare(Frame frame, Sql sql, int concurrency) throws SQLException {
    PreparedStatement statement = frame.connection.prepareStatement(sql.text, ResultSet.TYPE_FORWARD_ONLY, concurrency);
    for (int index = 0; index < sql.names.size(); index++) {
      Object value = frame.values.get(sql.names.get(index));
      if (value == null) statement.setNull(index + 1, statement.getParameterMetaData().getParameterType(index + 1));
      else statement.setObject(index + 1, value);
    }
    return statement;
  }

  private static void change(Frame frame, Sql sql) throws SQLException {
    String text = sql.text;
    Matcher positioned = Pattern.compile("(?i) WHERE CURRENT OF (\\w+)$").matcher(text);
    if (positioned.find())
      sql = new Sql(text.substring(0, positioned.start()) + " WHERE CURRENT OF \"" + frame.open.get(positioned.group(1)).getCursorName() + "\"", sql.names);
    try (PreparedStatement statement = prepare(frame, sql, ResultSet.CONCUR_READ_ONLY)) {
      frame.changed = statement.executeUpdate();
    }
    if (frame.changed == 0 && text.matches("(?is)(UPDATE|DELETE|INSERT)\\b.*")) throw notFound();
  }

  private static Object read(ResultSet rows, int column, String type) throws SQLException {
    if (type.endsWith("FOR BIT DATA")) return rows.getBytes(column);
    if (type.startsWith("VARCHAR")) {
      String text = rows.getString(column);
      return text == null ? null : text.stripTrailing(); // Derby's CASE pads its results, Db2's does not
    }
    long number = rows.getLong(column);
    return rows.wasNull() ? null : (Object) number;
  }

  private static void assign(Frame frame, String name, Object value) throws SQLException {
    Matcher length = Pattern.compile("VARCHAR \\((\\d+)\\).*").matcher(frame.types.get(name));
    int is = value instanceof byte[] bytes ? bytes.length : value instanceof String text ? text.length() : 0;
    if (length.matches() && is > Integer.parseInt(length.group(1))) throw new SQLException(name + " is too short", "22001");
    frame.values.put(name, value);
  }

  private static void into(Frame frame, ResultSet rows, List<String> names) throws SQLException {
    if (!rows.next()) throw notFound();
    for (int index = 0; index < names.size(); index++)
      assign(frame, names.get(index), read(rows, index + 1, frame.types.get(names.get(index))));
  }

  private static Object evaluate(Frame frame, Sql expression, String type) throws SQLException {
    if (expression.text.equals("NULL")) return null;
    try (PreparedStatement statement = prepare(frame, new Sql("VALUES " + expression.text, expression.names), ResultSet.CONCUR_READ_ONLY);
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      return read(rows, 1, type);
    }
  }

  private static boolean holds(Frame frame, Sql condition) throws SQLException {
    Sql asNumber = new Sql("CASE WHEN " + condition.text + " THEN 1 ELSE 0 END", condition.names);
    return Long.valueOf(1).equals(evaluate(frame, asNumber, "BIGINT"));
  }

  // --- Parsing

  static final class Parser {
    private static final Pattern TOKEN = Pattern.compile("--[^\\n]*|\\s+|([Xx]?'(?:[^']|'')*'|\\w+|<>|<=|>=|\\|\\||[^\\s\\w])");
    private final List<String> tokens = new ArrayList<>();
    private int next;

    Parser(String text) {
      Matcher matcher = TOKEN.matcher(text);
      while (matcher.find()) if (matcher.group(1) != null) tokens.add(matcher.group(1));
      tokens.add("");
    }

    boolean at(String word) { return tokens.get(next).equalsIgnoreCase(word); }
    boolean takes(String... words) {
      for (int index = 0; index < words.length; index++)
        if (next + index >= tokens.size() || !tokens.get(next + index).equalsIgnoreCase(words[index])) return false;
      next += words.length;
      return true;
    }
    void expect(String word) throws SQLException { if (!takes(word)) throw strange(word); }
    String word() { return tokens.get(next++); }
    SQLException strange(String expected) {
      int from = Math.max(0, next - 6);
      return new SQLException("expected " + expected + " at: " + String.join(" ", tokens.subList(from, Math.min(tokens.size(), next + 6))), "42601");
    }

    List<Variable> parameters() throws SQLException {
      List<Variable> found = new ArrayList<>();
      expect("(");
      do {
        String mode = word().toUpperCase(Locale.ROOT);
        if (!mode.equals("IN") && !mode.equals("OUT")) throw strange("IN or OUT");
        found.add(new Variable(mode, word(), type()));
      } while (takes(","));
      expect(")");
      return found;
    }

    String type() throws SQLException {
      String name = word().toUpperCase(Locale.ROOT);
      if (List.of("BIGINT", "INTEGER", "SMALLINT").contains(name)) return name;
      if (!name.equals("VARCHAR")) throw strange("a type");
      expect("(");
      String type = "VARCHAR (" + word() + ")";
      expect(")");
      return takes("FOR", "BIT", "DATA") ? type + " FOR BIT DATA" : type;
    }

    Block blockAndEnd(Map<String, String> scope) throws SQLException {
      expect("BEGIN");
      Block block = block(scope);
      if (!at("")) throw strange("the end");
      return block;
    }

    private Block block(Map<String, String> outer) throws SQLException {
      Map<String, String> scope = new HashMap<>(outer);
      Block block = new Block(new LinkedHashMap<>(), new LinkedHashMap<>(), new HashMap<>(), new ArrayList<>(), new ArrayList<>());
      int stage = 0; // variables, then cursors, then handlers: Db2 wants this order
      while (takes("DECLARE")) {
        if (takes("CONTINUE", "HANDLER", "FOR") || takes("EXIT", "HANDLER", "FOR")) {
          boolean exits = tokens.get(next - 3).equalsIgnoreCase("EXIT");
          stage = 2;
          String condition = takes("SQLSTATE") ? word().replace("'", "") : takes("NOT", "FOUND") ? "NOT FOUND" : word().toUpperCase(Locale.ROOT);
          if (!condition.matches("[0-9A-Z]{5}|NOT FOUND|SQLEXCEPTION")) throw strange("a condition");
          block.handlers.add(new Handler(exits, condition, step(scope)));
          continue;
        }
        String name = word();
        if (takes("CURSOR", "FOR")) {
          if (stage > 1) throw strange("a handler: cursors stand before them");
          stage = 1;
          block.cursors.put(name, statement(scope));
        } else {
          if (stage > 0) throw strange("a cursor or a handler: variables stand before them");
          block.declared.put(name, type());
          scope.put(name, block.declared.get(name));
          if (takes("DEFAULT")) block.defaults.put(name, sql(scope, ";"));
        }
        expect(";");
      }
      cursors.putAll(block.cursors);
      while (!takes("END")) block.steps.add(step(scope));
      return block;
    }

    private final Map<String, Sql> cursors = new HashMap<>();
    final List<Sql> statements = new ArrayList<>();

    private Sql statement(Map<String, String> scope) throws SQLException {
      Sql sql = sql(scope, ";");
      if (!sql.text.contains("CURRENT OF")) statements.add(sql);
      return sql;
    }

    private List<Step> steps(Map<String, String> scope, String... ends) throws SQLException {
      List<Step> steps = new ArrayList<>();
      while (true) {
        for (String end : ends) if (at(end)) return steps;
        if (at("")) throw strange(String.join(" or ", ends));
        steps.add(step(scope));
      }
    }

    private Step step(Map<String, String> scope) throws SQLException {
      Step step = bare(scope);
      expect(";");
      return step;
    }

    private Step bare(Map<String, String> scope) throws SQLException {
      if (takes("BEGIN")) {
        Block block = block(scope);
        return (frame) -> run(block, frame);
      }
      if (takes("IF")) {
        record Branch(Sql condition, List<Step> steps) {}
        List<Branch> branches = new ArrayList<>();
        do {
          Sql condition = sql(scope, "THEN");
          expect("THEN");
          branches.add(new Branch(condition, steps(scope, "ELSEIF", "ELSE", "END")));
        } while (takes("ELSEIF"));
        List<Step> otherwise = takes("ELSE") ? steps(scope, "END") : List.of();
        expect("END");
        expect("IF");
        return (frame) -> {
          for (Branch branch : branches) if (holds(frame, branch.condition)) { run(branch.steps, frame); return; }
          run(otherwise, frame);
        };
      }
      if (takes("WHILE")) {
        Sql condition = sql(scope, "DO");
        expect("DO");
        List<Step> steps = steps(scope, "END");
        expect("END");
        expect("WHILE");
        return (frame) -> { while (holds(frame, condition)) run(steps, frame); };
      }
      if (takes("SET")) {
        String name = variable(scope);
        expect("=");
        Sql expression = sql(scope, ";");
        return (frame) -> assign(frame, name, evaluate(frame, expression, frame.types.get(name)));
      }
      if (takes("GET", "DIAGNOSTICS")) {
        String name = variable(scope);
        for (String word : List.of("=", "ROW_COUNT")) expect(word);
        return (frame) -> assign(frame, name, frame.changed);
      }
      if (takes("OPEN")) {
        String name = word();
        Sql query = cursor(name);
        boolean updates = query.text.contains("FOR UPDATE");
        return (frame) -> {
          PreparedStatement statement = prepare(frame, query, updates ? ResultSet.CONCUR_UPDATABLE : ResultSet.CONCUR_READ_ONLY);
          statement.closeOnCompletion();
          frame.open.put(name, statement.executeQuery());
        };
      }
      if (takes("FETCH")) {
        String name = word();
        cursor(name);
        expect("INTO");
        List<String> names = variables(scope);
        return (frame) -> into(frame, frame.open.get(name), names);
      }
      if (takes("CLOSE")) {
        String name = word();
        cursor(name);
        return (frame) -> frame.open.remove(name).close();
      }
      if (takes("COMMIT")) return (frame) -> { closeAll(frame); frame.connection.commit(); };
      if (takes("ROLLBACK")) return (frame) -> { closeAll(frame); frame.connection.rollback(); };
      if (takes("RESIGNAL")) return (frame) -> { throw frame.signalled; };
      if (takes("EXECUTE", "IMMEDIATE")) {
        String text = word();
        if (!text.startsWith("'")) throw strange("a text");
        Sql sql = new Sql(rewritten(text.substring(1, text.length() - 1).replace("''", "'").strip()), List.of());
        return (frame) -> { if (!sql.text.isEmpty()) try (Statement statement = frame.connection.createStatement()) { statement.execute(sql.text); } };
      }
      if (at("SELECT")) {
        int into = next;
        for (int depth = 0; depth > 0 || !tokens.get(into).equalsIgnoreCase("INTO"); into++) {
          if (tokens.get(into).equals("(")) depth++;
          if (tokens.get(into).equals(")")) depth--;
          if (tokens.get(into).equals(";") || tokens.get(into).isEmpty()) throw strange("INTO");
        }
        int from = next;
        next = into + 1;
        List<String> names = variables(scope);
        tokens.subList(into, next).clear();
        next = from;
        Sql query = statement(scope);
        return (frame) -> {
          try (PreparedStatement statement = prepare(frame, query, ResultSet.CONCUR_READ_ONLY); ResultSet rows = statement.executeQuery()) {
            into(frame, rows, names);
            if (rows.next()) throw new SQLException("more than one row", "21000");
          }
        };
      }
      if (at("INSERT") || at("UPDATE") || at("DELETE") || at("LOCK")) {
        Sql sql = statement(scope);
        return (frame) -> change(frame, sql);
      }
      throw strange("a statement");
    }

    private Sql cursor(String name) throws SQLException {
      if (!cursors.containsKey(name)) throw strange("a cursor that is declared");
      return cursors.get(name);
    }

    private String variable(Map<String, String> scope) throws SQLException {
      if (!scope.containsKey(tokens.get(next))) throw strange("a variable that is declared");
      return word();
    }

    private List<String> variables(Map<String, String> scope) throws SQLException {
      List<String> names = new ArrayList<>();
      do names.add(variable(scope)); while (takes(","));
      return names;
    }

    /** Derby's text of what stands up to a word, with a typed mark for each variable. */
    private Sql sql(Map<String, String> scope, String end) throws SQLException {
      StringBuilder text = new StringBuilder();
      List<String> names = new ArrayList<>();
      int cases = 0;
      for (; cases > 0 || !at(end); next++) {
        String token = tokens.get(next);
        if (token.isEmpty() || token.equals(";")) throw strange(end);
        if (token.equalsIgnoreCase("CASE")) cases++;
        if (token.equalsIgnoreCase("END")) cases--;
        if (scope.containsKey(token)) {
          text.append("CAST(? AS ").append(scope.get(token).equals("SMALLINT") ? "BIGINT" : scope.get(token)).append(") ");
          names.add(token);
        } else if (token.matches("[pv]_\\w+")) throw strange("a variable that is declared");
        else text.append(token).append(tokens.get(next + 1).equals("(") && token.matches("\\w+") ? "" : " ");
      }
      return new Sql(rewritten(text.toString().replaceAll("\\s*\\.\\s*", ".").strip()), names);
    }

    private static String rewritten(String text) {
      for (String[] each : REWRITES) text = Pattern.compile(each[0]).matcher(text).replaceAll(each[1]).strip();
      return text;
    }
  }

  private static void closeAll(Frame frame) throws SQLException {
    for (ResultSet rows : frame.open.values()) rows.close();
    frame.open.clear();
  }
}
