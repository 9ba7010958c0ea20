import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Map;

/** Writes tables at home through JDBC: made, filled, changed and dropped. */
public final class Writing {
    private static final String TABLE = "jdbc.notes.quote";

    private Writing() {}

    /** Where and as whom comes from the environment, as passwords do not belong into arguments. */
    public static void main(String[] arguments) throws SQLException {
        Map<String, String> told = System.getenv();
        String user = told.get("PROBE_USER");
        Sessions sessions = new Sessions(told.get("PROBE_URL"), Map.of(user, told.get("PROBE_PASSWORD")));
        try (Connection connection = sessions.connect(user)) {
            define(connection);
            write(connection, new Facts("write"));
            bind(connection, new Facts("bind"));
            try (Statement statement = connection.createStatement()) {
                new Facts("drop").tell("answer", () -> Facts.rows(statement.executeQuery(
                        "DROP CATALOG jdbc CASCADE")));
            }
        }
    }

    private static void define(Connection connection) throws SQLException {
        Facts facts = new Facts("define");
        try (Statement statement = connection.createStatement()) {
            facts.tell("catalog", () -> statement.execute("CREATE CATALOG jdbc"));
            facts.tell("schema", () -> statement.executeUpdate("CREATE SCHEMA jdbc.notes"));
            facts.tell("table", () -> Facts.rows(statement.executeQuery("CREATE TABLE " + TABLE
                    + " (id BIGINT, word VARCHAR, price DECIMAL(10, 2), day DATE)")));
        }
    }

    private static void write(Connection connection, Facts facts) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            facts.tell("insert", () -> statement.executeUpdate(
                    "INSERT INTO " + TABLE + " VALUES (1, 'a', 1.5, '2026-01-02'), (2, 'b', 2, NULL)"));
            facts.tell("update", () -> statement.executeUpdate(
                    "UPDATE " + TABLE + " SET price = price + 1 WHERE id > 1"));
            facts.tell("is a query", () -> statement.execute("DELETE FROM " + TABLE + " WHERE id = 1"));
            facts.tell("update count", () -> statement.getUpdateCount());
            facts.tell("create as", () -> statement.executeUpdate(
                    "CREATE TABLE jdbc.notes.copy AS SELECT * FROM " + TABLE));
            facts.tell("rows", () -> Facts.rows(statement.executeQuery("SELECT * FROM " + TABLE)));
            facts.tell("refused", () -> statement.executeUpdate("INSERT INTO " + TABLE + " VALUES (1)"));
        }
    }

    private static void bind(Connection connection, Facts facts) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(
                "INSERT INTO " + TABLE + " (id, word, day) VALUES (?, ?, ?)")) {
            facts.tell("one row", () -> {
                set(statement, 10);
                return statement.executeUpdate();
            });
            facts.tell("batch", () -> {
                for (int number = 20; number < 23; number++) {
                    set(statement, number);
                    statement.addBatch();
                }
                return Arrays.toString(statement.executeBatch());
            });
        }
        try (Statement statement = connection.createStatement()) {
            facts.tell("rows", () -> Facts.rows(statement.executeQuery(
                    "SELECT id, word, day FROM " + TABLE + " WHERE id >= 10 ORDER BY id")));
        }
    }

    private static void set(PreparedStatement statement, long number) throws SQLException {
        statement.setLong(1, number);
        statement.setString(2, "w" + number);
        statement.setDate(3, Date.valueOf("2026-01-02"));
    }
}
