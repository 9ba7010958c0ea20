import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;

/** An administrator at work: statements that change something, by each way that JDBC has. */
final class Administration {
    private static final String AT = " ON payroll.hr.salaries@hangzhou ";
    private static final String GRANT = "GRANT TABLE_READ" + AT + "TO user1@shanghai";
    private static final String REVOKE = "REVOKE TABLE_READ" + AT + "FROM user1@shanghai";

    private Administration() {}

    static void probe(Connection admin, Connection reader) throws SQLException {
        Facts facts = new Facts("administer");
        try (Statement statement = admin.createStatement()) {
            facts.tell("executeUpdate", () -> statement.executeUpdate(GRANT));
            facts.tell("read then", () -> count(reader));
            facts.tell("executeUpdate of REVOKE", () -> statement.executeUpdate(REVOKE));
            facts.tell("read after", () -> count(reader));
            facts.tell("execute", () -> statement.execute(GRANT));
            facts.tell("update count", () -> statement.getUpdateCount());
            facts.tell("answer", () -> Facts.rows(statement.getResultSet()));
            facts.tell("executeQuery", () -> Facts.rows(statement.executeQuery(REVOKE)));
            facts.tell("executeQuery of SHOW", () -> Facts.rows(statement.executeQuery(
                    "SHOW GRANTS FOR user1@shanghai"), "privilege", "securable"));
        }
        facts.tell("prepared", () -> {
            try (PreparedStatement statement = admin.prepareStatement(GRANT)) {
                return statement.executeUpdate();
            }
        });
        facts.tell("read at last", () -> count(reader));
        try (Statement statement = admin.createStatement()) {
            facts.tell("revoked", () -> Facts.rows(statement.executeQuery(REVOKE)));
        }
    }

    private static String count(Connection reader) throws SQLException {
        try (Statement statement = reader.createStatement()) {
            return Facts.rows(statement.executeQuery("select count(*) from payroll.hr.salaries@hangzhou"));
        }
    }
}
