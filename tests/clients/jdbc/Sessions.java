import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.Properties;

/** Ways to connect: by password, token, catalog, headers; and what is refused there. */
final class Sessions {
    private static final String COUNT = "select count(*) from flights";

    private final String url;
    private final Map<String, String> secrets;

    Sessions(String url, Map<String, String> secrets) {
        this.url = url;
        this.secrets = secrets;
    }

    Connection connect(String user, String... more) throws SQLException {
        return open("user", user, "password", secrets.get(user), more);
    }

    void probe() {
        Facts facts = new Facts("connect");
        String user = "user1@shanghai";
        String full = "select count(*) from aviation.nyc.flights@hangzhou";
        facts.tell("token", () -> ask(open("token", secrets.get("token"), "user", ""), full));
        facts.tell("wrong password", () -> ask(open("user", user, "password", "wrong"), full));
        facts.tell("unknown user", () -> ask(open("user", "nobody@shanghai", "password", "x"), full));
        facts.tell("forged token", () -> ask(open("token", "forged", "user", ""), full));
        facts.tell("no proof", () -> ask(open("user", "", "password", ""), full));
        facts.tell("catalog", () -> {
            Connection connection = connect(user, "catalog", "aviation@hangzhou");
            try (Statement statement = connection.createStatement()) {
                return Facts.rows(statement.executeQuery("select count(*) from nyc.flights"));
            } finally {
                new Facts("driver").tell("close after catalog", () -> {
                    connection.close();
                    return "closed";
                });
            }
        });
        facts.tell("catalog of nobody", () -> ask(connect(user, "catalog", "none@hangzhou"), COUNT));
        facts.tell("headers", () -> ask(
                connect(user, "x-cluster", "hangzhou", "x-catalog", "aviation", "x-schema", "nyc"),
                COUNT));
        new Facts("driver").tell("compressed", () -> ask(
                connect(user, "x-compression", "zstd"),
                "select carrier from aviation.nyc.flights@hangzhou limit 1000"));
        new Facts("driver").tell("unsigned as they are", () -> ask(
                connect(user, "x-wire", "safe"), "select arrow_cast(4294967295, 'UInt32')"));
        facts.tell("use", () -> {
            try (Connection connection = connect(user);
                    Statement statement = connection.createStatement()) {
                statement.execute("USE aviation.nyc@hangzhou");
                return Facts.rows(statement.executeQuery(COUNT));
            }
        });
        facts.tell("catalog of the connection", () -> {
            try (Connection connection = connect(user)) {
                connection.setCatalog("aviation@hangzhou");
                return connection.getCatalog() + " " + connection.getSchema();
            }
        });
        facts.tell("autocommit", () -> {
            try (Connection connection = connect(user)) {
                boolean before = connection.getAutoCommit();
                connection.setAutoCommit(false);
                connection.commit();
                connection.rollback();
                return before + " " + connection.getTransactionIsolation();
            }
        });
    }

    private Connection open(String name, String value, String other, String its, String... more)
            throws SQLException {
        Properties properties = new Properties();
        properties.put("useEncryption", "false");
        properties.put(name, value);
        if (!its.isEmpty()) {
            properties.put(other, its);
        }
        for (int n = 0; n < more.length; n += 2) {
            properties.put(more[n], more[n + 1]);
        }
        return DriverManager.getConnection(url, properties);
    }

    private static String ask(Connection connection, String sql) throws SQLException {
        try (connection; Statement statement = connection.createStatement()) {
            return Facts.rows(statement.executeQuery(sql));
        }
    }
}
