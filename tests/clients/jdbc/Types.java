import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/** Every column of the table of all types, by every getter that tools use. */
final class Types {
    private static final String SAMPLES = "select * from aviation.lab.samples@hangzhou where id = ";

    private Types() {}

    static void probe(Connection connection) throws SQLException {
        for (int id : new int[] {0, 1}) {
            values(connection, id);
        }
        columns(connection);
        unsigned(connection);
    }

    /** The greatest number of each unsigned type, by every getter that tools use. */
    private static void unsigned(Connection connection) throws SQLException {
        String sql = "select arrow_cast(255, 'UInt8') as u8, arrow_cast(65535, 'UInt16') as u16, "
                + "arrow_cast(4294967295, 'UInt32') as u32, "
                + "arrow_cast(18446744073709551615, 'UInt64') as u64, "
                + "[arrow_cast(4294967295, 'UInt32')] as listed";
        Facts array = new Facts("unsigned array");
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            ResultSetMetaData columns = row.getMetaData();
            array.tell("getObject", () -> row.getObject("listed"));
            array.tell("getString", () -> row.getString("listed"));
            for (int n = 1; n < columns.getColumnCount(); n++) {
                int column = n;
                Facts facts = new Facts("unsigned " + columns.getColumnLabel(column));
                facts.tell("type", () -> columns.getColumnTypeName(column));
                facts.tell("getObject", () -> row.getObject(column));
                facts.tell("getString", () -> row.getString(column));
                facts.tell("getInt", () -> row.getInt(column));
                facts.tell("getLong", () -> row.getLong(column));
                facts.tell("getDouble", () -> row.getDouble(column));
                facts.tell("getBigDecimal", () -> row.getBigDecimal(column));
            }
        }
    }

    private static void values(Connection connection, int id) throws SQLException {
        Facts objects = new Facts("object " + id);
        Facts texts = new Facts("string " + id);
        Facts classes = new Facts("class " + id);
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(SAMPLES + id)) {
            row.next();
            for (String name : Facts.names(row.getMetaData())) {
                objects.tell(name, () -> row.getObject(name));
                texts.tell(name, () -> row.getString(name));
                classes.tell(name, () -> classOf(row.getObject(name)));
            }
            Facts getters = new Facts("getter " + id);
            getters.tell("getInt tiny", () -> row.getInt("tiny"));
            getters.tell("getLong id", () -> row.getLong("id"));
            getters.tell("getDouble amount", () -> row.getDouble("amount"));
            getters.tell("getBigDecimal price", () -> row.getBigDecimal("price"));
            getters.tell("getBoolean flag", () -> row.getBoolean("flag"));
            getters.tell("getBytes blob", () -> row.getBytes("blob"));
            getters.tell("getDate day", () -> row.getDate("day"));
            getters.tell("getTime clock", () -> row.getTime("clock"));
            getters.tell("getTimestamp moment", () -> row.getTimestamp("moment"));
            getters.tell("getTimestamp instant", () -> row.getTimestamp("instant").toInstant());
            getters.tell("getTimestamp tick", () -> row.getTimestamp("tick"));
            getters.tell("getArray numbers", () -> row.getArray("numbers"));
            getters.tell("wasNull short", () -> row.getInt("short") + " " + row.wasNull());
        }
    }

    private static String classOf(Object value) {
        return value == null ? "null" : value.getClass().getSimpleName();
    }

    private static void columns(Connection connection) throws SQLException {
        Facts facts = new Facts("column");
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(SAMPLES + 0)) {
            ResultSetMetaData columns = rows.getMetaData();
            for (int n = 1; n <= columns.getColumnCount(); n++) {
                int column = n;
                facts.tell(
                        columns.getColumnLabel(column),
                        () -> String.join(
                                " ",
                                columns.getColumnTypeName(column),
                                String.valueOf(columns.getColumnType(column)),
                                String.valueOf(columns.getPrecision(column)),
                                String.valueOf(columns.getScale(column)),
                                String.valueOf(columns.isNullable(column))));
            }
        }
    }
}
