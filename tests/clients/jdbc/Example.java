import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

public final class Example {
    public static void main(String[] arguments) throws SQLException {
        Properties properties = new Properties();
        properties.put("user", System.getenv("FLIGHT_USER"));
        properties.put("password", System.getenv("FLIGHT_PASSWORD"));
        properties.put("useEncryption", "false"); // only on the same machine

        String sql = "select carrier, count(*) as flights from aviation.nyc.flights@hangzhou "
                + "where origin = ? group by carrier order by flights desc limit 3";
        try (Connection connection = DriverManager.getConnection(System.getenv("FLIGHT_URL"), properties);
                PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, "JFK");
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    System.out.println(rows.getString("carrier") + " " + rows.getLong("flights"));
                }
            }
        }
    }
}
