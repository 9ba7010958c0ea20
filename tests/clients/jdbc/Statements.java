import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Statements as tools send them: executed, prepared, changed, refused, cancelled. */
final class Statements {
    private static final String FLIGHTS = "aviation.nyc.flights@hangzhou";
    private static final String SAMPLES = "aviation.lab.samples@hangzhou";
    private static final String ENDLESS =
            "with recursive r(n) as (select 1 union all select n + 1 from r where n < 100000000) "
                    + "select count(*) from r";

    private Statements() {}

    static void probe(Connection connection) throws SQLException {
        executed(connection);
        prepared(connection);
        refused(connection);
        cancelled(connection);
    }

    private static void executed(Connection connection) throws SQLException {
        Facts facts = new Facts("execute");
        try (Statement statement = connection.createStatement()) {
            String count = "select count(*) as n from " + FLIGHTS;
            facts.tell("a query", () -> Facts.rows(statement.executeQuery(count)));
            facts.tell("again", () -> Facts.rows(statement.executeQuery(count)));
            facts.tell("execute of a query", () -> statement.execute(count));
            facts.tell("its rows", () -> Facts.rows(statement.getResultSet()));
            facts.tell("with a semicolon", () -> Facts.rows(statement.executeQuery(count + ";")));
            facts.tell("no rows", () -> Facts.rows(
                    statement.executeQuery("select carrier from " + FLIGHTS + " where false")));
            facts.tell("as tools quote", () -> Facts.rows(statement.executeQuery(
                    "SELECT COUNT(*) FROM \"aviation@hangzhou\".\"nyc\".\"flights\"")));
            facts.tell("a probe", () -> Facts.rows(statement.executeQuery("SELECT 1")));
            facts.tell("show tables", () -> Facts.rows(
                    statement.executeQuery("SHOW TABLES FROM aviation.nyc@hangzhou")));
            facts.tell("explain", () -> Facts.rows(statement.executeQuery("EXPLAIN " + count)));
            facts.tell("valid", () -> connection.isValid(5));
            facts.tell("the first of many", () -> {
                statement.setMaxRows(3);
                return Facts.rows(statement.executeQuery("select flight from " + FLIGHTS + " order by flight"));
            });
        }
        try (Statement statement = connection.createStatement()) {
            facts.tell("every row", () -> {
                long sum = 0;
                try (ResultSet rows = statement.executeQuery("select flight from " + FLIGHTS)) {
                    while (rows.next()) {
                        sum += rows.getLong(1);
                    }
                }
                return sum;
            });
        }
    }

    private static void prepared(Connection connection) throws SQLException {
        Facts facts = new Facts("prepare");
        String sql = "select count(*) from " + FLIGHTS + " where origin = ? and flight < ?";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            facts.tell("parameters", () -> statement.getParameterMetaData().getParameterCount()
                    + " " + statement.getParameterMetaData().getParameterTypeName(1)
                    + " " + statement.getParameterMetaData().getParameterTypeName(2));
            facts.tell("columns", () -> statement.getMetaData().getColumnCount());
            facts.tell("bound", () -> {
                statement.setString(1, "JFK");
                statement.setLong(2, 100);
                return Facts.rows(statement.executeQuery());
            });
            facts.tell("bound anew", () -> {
                statement.setString(1, "EWR");
                statement.setInt(2, 10);
                return Facts.rows(statement.executeQuery());
            });
            facts.tell("null", () -> {
                statement.setNull(1, java.sql.Types.VARCHAR);
                return Facts.rows(statement.executeQuery());
            });
        }
        String asText = "select id from " + SAMPLES + " where moment = cast(cast(? as varchar) as timestamp)";
        facts.tell("moment as text", () -> {
            try (PreparedStatement statement = connection.prepareStatement(asText)) {
                statement.setString(1, "2024-03-10 19:30:15.123457");
                return Facts.rows(statement.executeQuery());
            }
        });
        new Facts("driver").tell("unbound", () -> {
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                return Facts.rows(statement.executeQuery());
            }
        });
        each(connection, facts, "whole", statement -> statement.setInt(1, -299));
        each(connection, facts, "amount", statement -> statement.setDouble(1, -18.75));
        each(connection, facts, "price", statement -> statement.setBigDecimal(1, new BigDecimal("1.239")));
        each(connection, facts, "word", statement -> statement.setString(1, "Beta"));
        each(connection, facts, "blob", statement -> statement.setBytes(1, new byte[] {1, -2}));
        each(connection, facts, "day", statement -> statement.setDate(1, Date.valueOf("2024-02-28")));
        each(connection, facts, "seconds", statement -> statement.setTimestamp(
                1, Timestamp.valueOf("2024-03-10 19:30:15.000")));
        // The driver passes milliseconds, whatever the timestamp holds.
        each(connection, new Facts("driver"), "moment", statement -> statement.setTimestamp(
                1, Timestamp.valueOf("2024-03-10 19:30:15.123457")));
        each(connection, facts, "flag", statement -> statement.setBoolean(1, false));
        unsigned(connection);
    }

    /** The greatest number of each unsigned type, bound beside a value of that type. */
    private static void unsigned(Connection connection) {
        Facts facts = new Facts("unsigned parameter");
        same(connection, facts, "setInt", "255", "UInt8", statement -> statement.setInt(1, 255));
        same(connection, facts, "setLong", "65535", "UInt16", statement -> statement.setLong(1, 65535L));
        same(connection, facts, "setObject", "4294967295", "UInt32", statement -> statement.setObject(1, 4294967295L));
        String greatest = "18446744073709551615";
        same(connection, facts, "setBigDecimal", greatest, "UInt64", statement -> statement.setBigDecimal(
                1, new BigDecimal(greatest)));
        same(connection, facts, "negative", "255", "UInt8", statement -> statement.setInt(1, -1));
        // The driver binds nothing but decimals to decimals.
        same(connection, new Facts("driver"), "long as decimal", "1", "UInt64", statement -> statement.setLong(1, 1L));
    }

    private static void same(
            Connection connection, Facts facts, String name, String number, String type, Binding binding) {
        String sql = "select arrow_cast(" + number + ", '" + type + "') = ?";
        facts.tell(name, () -> {
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                binding.bind(statement);
                return Facts.rows(statement.executeQuery());
            }
        });
    }

    private interface Binding {
        void bind(PreparedStatement statement) throws SQLException;
    }

    private static void each(Connection connection, Facts facts, String column, Binding binding) {
        String sql = "select id from " + SAMPLES + " where " + column + " = ? and id < 3 order by id";
        facts.tell(column, () -> {
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                binding.bind(statement);
                return Facts.rows(statement.executeQuery());
            }
        });
    }

    private static void refused(Connection connection) throws SQLException {
        Facts facts = new Facts("refuse");
        String[][] asked = {
            {"sql-syntax", "select from from " + FLIGHTS},
            {"unknown-column", "select carier from " + FLIGHTS},
            {"not-found", "select * from payroll.hr.salaries@hangzhou"},
            {"join-not-supported", "select 1 from " + FLIGHTS + " a join " + FLIGHTS + " b using (flight)"},
            {"multi-cluster-query", "select carrier from " + FLIGHTS + " union all select symbol from trading.stock.quote@shanghai"},
            {"one-statement-only", "select 1; select 2"},
            {"cross-cluster-read-only", "delete from " + FLIGHTS},
            {"permission-denied", "GRANT TABLE_READ ON " + FLIGHTS + " TO user1@shanghai"},
            {"type-mismatch", "select carrier + 1 from " + FLIGHTS},
        };
        for (String[] one : asked) {
            facts.tell(one[0], () -> {
                try (Statement statement = connection.createStatement()) {
                    return Facts.rows(statement.executeQuery(one[1]));
                }
            });
        }
        facts.tell("while running", () -> {
            try (Statement statement = connection.createStatement()) {
                return Facts.rows(statement.executeQuery(
                        "select sum(1 / (flight - 3999)) from " + FLIGHTS));
            }
        });
    }

    private static void cancelled(Connection connection) throws SQLException {
        Facts facts = new Facts("cancel");
        try (Statement statement = connection.createStatement()) {
            CountDownLatch ended = new CountDownLatch(1);
            Thread canceller = new Thread(() -> {
                try {
                    while (!ended.await(300, TimeUnit.MILLISECONDS)) {
                        statement.cancel();
                    }
                } catch (InterruptedException | SQLException fault) {
                    facts.tell("cancel", () -> fault);
                }
            });
            canceller.start();
            facts.tell("cancelled", () -> Facts.rows(statement.executeQuery(ENDLESS)));
            ended.countDown();
            try {
                canceller.join(10_000);
            } catch (InterruptedException fault) {
                Thread.currentThread().interrupt();
            }
        }
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            facts.tell("timed out", () -> Facts.rows(statement.executeQuery(ENDLESS)));
        }
        facts.tell("afterwards", () -> {
            try (Statement statement = connection.createStatement()) {
                return Facts.rows(statement.executeQuery("select 1"));
            }
        });
    }
}
