// Fetch a URL with Java's own client: `java Fetch.java URL`. Names resolve as jdk.net.hosts.file says.
import java.io.InputStream;
import java.net.URI;

class Fetch {
    public static void main(String[] arguments) throws Exception {
        try (InputStream answer = URI.create(arguments[0]).toURL().openStream()) {
            answer.transferTo(System.out);
        }
    }
}
