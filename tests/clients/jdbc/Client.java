import java.math.BigDecimal;
import java.sql.*;
import java.time.Instant;
import java.time.ZonedDateTime;

/** clickhouse-jdbc with its default properties against the server of CLICKHOUSE_URL; throws at the first difference. */
public class Client {
    private static final int ROWS = 20_000;

    private static void check(boolean ok, Object told) {
        if (!ok) throw new AssertionError("jdbc: " + told);
    }

    private static Connection open(String password) throws SQLException {
        String url = System.getenv("CLICKHOUSE_URL").replaceFirst("^http://", "jdbc:clickhouse://");
        return DriverManager.getConnection(url, System.getenv("CLICKHOUSE_USER"), password);
    }

    private static void insert(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS of_jdbc");
            statement.execute("CREATE TABLE of_jdbc (id UInt64, name String, at DateTime('Europe/Moscow'), "
                + "paid Nullable(Decimal(38, 12)), kinds Array(String)) ENGINE = MergeTree ORDER BY id");
        }
        try (PreparedStatement rows = connection.prepareStatement("INSERT INTO of_jdbc VALUES (?, ?, ?, ?, ?)")) {
            for (int id = 0; id < ROWS; id++) {
                rows.setLong(1, id);
                rows.setString(2, "ü " + id + " FORMAT x;");
                rows.setTimestamp(3, Timestamp.from(Instant.ofEpochSecond(1_700_000_000L + id)));
                rows.setBigDecimal(4, id % 2 == 1 ? null : new BigDecimal("0.000000000001"));
                rows.setArray(5, connection.createArrayOf("String", new Object[] {"a", "b"}));
                rows.addBatch();
            }
            rows.executeBatch();
        }
    }

    private static void read(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
             ResultSet found = statement.executeQuery("SELECT count(), sum(paid) FROM of_jdbc")) {
            check(found.next() && found.getLong(1) == ROWS, found.getLong(1));
            check(found.getBigDecimal(2).compareTo(new BigDecimal("0.00000001")) == 0, found.getBigDecimal(2));
        }
        try (PreparedStatement asked = connection.prepareStatement("SELECT name, at, paid, kinds FROM of_jdbc WHERE id = ?")) {
            asked.setLong(1, 7);
            try (ResultSet found = asked.executeQuery()) {
                check(found.next() && found.getString(1).equals("ü 7 FORMAT x;"), found.getString(1));
                check(found.getObject(2, ZonedDateTime.class).toEpochSecond() == 1_700_000_007L, found.getString(2));
                check(found.getBigDecimal(3) == null && found.getArray(4) != null, found.getArray(4));
            }
        }
        try (Statement statement = connection.createStatement();
             ResultSet found = statement.executeQuery("SELECT number, toString(number) FROM numbers(300000)")) {
            long seen = 0;
            while (found.next()) {
                check(found.getLong(1) == seen && found.getString(2).equals(Long.toString(seen)), seen);
                seen++;
            }
            check(seen == 300_000, seen);
        }
    }

    private static void fail(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT * FROM nowhere");
            check(false, "an unknown table was found");
        } catch (SQLException error) {
            check(error.getErrorCode() == 60 || error.getMessage().contains("Code: 60"), error);
        }
        Statement slow = connection.createStatement();
        Thread running = new Thread(() -> {
            try {
                slow.executeQuery("SELECT sleepEachRow(1) FROM numbers(115) SETTINGS max_block_size = 1").next();
            } catch (SQLException expected) {
            }
        });
        running.start();
        String asked = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(115)%' AND query NOT LIKE '%processes%'";
        await(connection, asked, 1);
        slow.cancel();
        running.join();
        await(connection, asked, 0);
    }

    private static void await(Connection connection, String asked, long wanted) throws Exception {
        while (true) {
            try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery(asked)) {
                if (found.next() && found.getLong(1) == wanted) return;
            }
            Thread.sleep(100);
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection wrong = open("wrong")) {
            wrong.createStatement().executeQuery("SELECT 1");
            check(false, "a wrong password was taken");
        } catch (SQLException expected) {
            check(expected.toString().contains("516"), expected);
        }
        try (Connection connection = open(System.getenv("CLICKHOUSE_PASSWORD"))) {
            check(connection.isValid(10), "not valid");
            insert(connection);
            read(connection);
            fail(connection);
        }
        System.out.println("jdbc: all as expected");
    }
}
