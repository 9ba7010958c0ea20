import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Comparator;

/** What a tool asks before it shows anything: the tree, the types, and every plain getter. */
final class Metadata {
    private static final String CATALOG = "aviation@hangzhou";

    private Metadata() {}

    static void probe(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        tree(new Facts("tree"), metadata);
        keys(new Facts("key"), metadata);
        Facts types = new Facts("type");
        types.tell("all", () -> Facts.rows(
                metadata.getTypeInfo(), "TYPE_NAME", "DATA_TYPE", "PRECISION", "LITERAL_PREFIX"));
        getters(new Facts("get"), metadata);
    }

    private static void tree(Facts facts, DatabaseMetaData metadata) {
        facts.tell("catalogs", () -> Facts.rows(metadata.getCatalogs()));
        facts.tell("schemas", () -> Facts.rows(metadata.getSchemas()));
        facts.tell("schemas of a catalog", () -> Facts.rows(metadata.getSchemas(CATALOG, null)));
        facts.tell("table types", () -> Facts.rows(metadata.getTableTypes()));
        facts.tell("tables", () -> tables(metadata.getTables(null, null, null, null)));
        facts.tell("tables of a catalog", () -> tables(
                metadata.getTables(CATALOG, "%", "%", new String[] {"TABLE", "VIEW"})));
        facts.tell("tables by pattern", () -> tables(metadata.getTables(CATALOG, "n_c", "fl%", null)));
        facts.tell("tables of no type", () -> tables(
                metadata.getTables(null, null, null, new String[] {"VIEW"})));
        facts.tell("columns", () -> Facts.rows(
                metadata.getColumns(CATALOG, "nyc", "flights", null),
                "TABLE_CAT", "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "ORDINAL_POSITION", "IS_NULLABLE"));
        facts.tell("columns of all types", () -> Facts.rows(
                metadata.getColumns(CATALOG, "lab", "samples", "%"),
                "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS"));
        facts.tell("columns by pattern", () -> Facts.rows(
                metadata.getColumns(CATALOG, "nyc", "flights", "%delay"), "COLUMN_NAME"));
    }

    private static void keys(Facts facts, DatabaseMetaData metadata) {
        facts.tell("primary", () -> Facts.rows(metadata.getPrimaryKeys(CATALOG, "nyc", "flights")));
        facts.tell("imported", () -> Facts.rows(metadata.getImportedKeys(CATALOG, "nyc", "flights")));
        facts.tell("exported", () -> Facts.rows(metadata.getExportedKeys(CATALOG, "nyc", "flights")));
        facts.tell("cross reference", () -> Facts.rows(metadata.getCrossReference(
                CATALOG, "nyc", "flights", CATALOG, "lab", "samples")));
        facts.tell("indexes", () -> Facts.rows(
                metadata.getIndexInfo(CATALOG, "nyc", "flights", false, true)));
        facts.tell("procedures", () -> Facts.rows(metadata.getProcedures(CATALOG, null, null)));
        facts.tell("functions", () -> Facts.rows(metadata.getFunctions(CATALOG, null, null)));
    }

    /** Ask every method that takes nothing or one number, as tools do when they connect. */
    private static void getters(Facts facts, DatabaseMetaData metadata) {
        Method[] methods = DatabaseMetaData.class.getMethods();
        Arrays.sort(methods, Comparator.comparing(Method::getName));
        for (Method method : methods) {
            Class<?>[] takes = method.getParameterTypes();
            if (takes.length == 0 && method.getReturnType() != ResultSet.class) {
                facts.tell(method.getName(), () -> call(method, metadata));
            } else if (Arrays.equals(takes, new Class<?>[] {int.class})) {
                // Forward only, or no transactions.
                int asked = method.getName().startsWith("supportsTransaction") ? 0 : 1003;
                facts.tell(method.getName(), () -> call(method, metadata, asked));
            }
        }
    }

    private static String tables(ResultSet answer) throws SQLException {
        return Facts.rows(answer, "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE");
    }

    private static Object call(Method method, Object target, Object... values) throws Exception {
        try {
            Object answer = method.invoke(target, values);
            return answer instanceof Connection ? "the connection" : answer;
        } catch (InvocationTargetException fault) {
            if (fault.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw fault;
        }
    }
}
