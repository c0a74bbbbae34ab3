import java.io.PrintWriter;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.Statement;
import org.apache.derby.drda.NetworkServerControl;

/** Apache Derby on the loopback address, with one database and what stands in there for Db2's procedures and catalog. */
public final class server {
  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    try (var connection = DriverManager.getConnection("jdbc:derby:" + arguments[1] + ";create=true"); Statement statement = connection.createStatement()) {
      statement.execute("CREATE SCHEMA db2");
      statement.execute("CREATE PROCEDURE db2.run (IN text VARCHAR(32672)) LANGUAGE JAVA PARAMETER STYLE JAVA MODIFIES SQL DATA EXTERNAL NAME 'procedures.execute'");
      statement.execute("CREATE FUNCTION db2.part (bytes VARCHAR(32672) FOR BIT DATA, start INTEGER, length INTEGER) RETURNS VARCHAR(32672) FOR BIT DATA LANGUAGE JAVA PARAMETER STYLE JAVA NO SQL EXTERNAL NAME 'procedures.part'");
      statement.execute("CREATE VIEW db2.tables (tabschema, tabname) AS SELECT s.schemaname, t.tablename FROM sys.systables t JOIN sys.sysschemas s ON s.schemaid = t.schemaid");
    }
    for (int index = 2; index < arguments.length; index++) procedures.prepare(Files.readString(Path.of(arguments[index])));
    NetworkServerControl control = new NetworkServerControl(InetAddress.getLoopbackAddress(), port);
    control.start(new PrintWriter(System.out, true));
    Thread.currentThread().join();
  }
}
