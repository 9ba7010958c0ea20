import java.sql.Array;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Struct;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** What was found, a line each: section, name and value with tabs between them. */
final class Facts {
    /** What may fail: a refusal is a fact as well. */
    interface Question {
        Object ask() throws Exception;
    }

    private final String section;

    Facts(String section) {
        this.section = section;
    }

    void tell(String name, Question question) {
        String found;
        try {
            found = text(question.ask());
        } catch (SQLException refusal) {
            found = "SQLException: " + refusal.getMessage();
        } catch (Exception | LinkageError fault) {
            found = fault.getClass().getSimpleName() + ": " + fault.getMessage();
        }
        System.out.println(String.join("\t", section, escape(name), escape(found)));
    }

    /** The rows of an answer, each as its values between bars, at most a hundred. */
    static String rows(ResultSet answer, String... columns) throws SQLException {
        List<String> rows = new ArrayList<>();
        try (answer) {
            while (answer.next() && rows.size() < 100) {
                List<String> values = new ArrayList<>();
                for (String column : columns.length > 0 ? columns : names(answer.getMetaData())) {
                    values.add(text(answer.getObject(column)));
                }
                rows.add(String.join("|", values));
            }
        }
        return String.join("\n", rows);
    }

    static String[] names(ResultSetMetaData columns) throws SQLException {
        String[] names = new String[columns.getColumnCount()];
        for (int n = 0; n < names.length; n++) {
            names[n] = columns.getColumnLabel(n + 1);
        }
        return names;
    }

    static String text(Object value) throws SQLException {
        if (value instanceof byte[] bytes) {
            return HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Array array) {
            return text(array.getArray());
        }
        if (value instanceof Struct struct) {
            return text(struct.getAttributes());
        }
        if (value instanceof Object[] values) {
            List<String> texts = new ArrayList<>();
            for (Object one : values) {
                texts.add(text(one));
            }
            return texts.toString();
        }
        if (value instanceof String[] values) {
            return Arrays.toString(values);
        }
        return String.valueOf(value);
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r");
    }
}
