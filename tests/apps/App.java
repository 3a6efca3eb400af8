// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Java's HttpServer as the application: java App.java PORT, in the folder of its content and log.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.concurrent.Executors;

public class App {
	static void respond(HttpExchange exchange, int status, byte[] body) throws IOException {
		boolean bare = exchange.getRequestMethod().equals("HEAD");
		exchange.sendResponseHeaders(status, bare ? -1 : body.length);
		if (!bare)
			exchange.getResponseBody().write(body);
	}

	static void respondFile(HttpExchange exchange, Path path) throws IOException {
		boolean bare = exchange.getRequestMethod().equals("HEAD");
		if (!Files.isRegularFile(path)) {
			respond(exchange, 404, "missing\n".getBytes());
			return;
		}
		exchange.sendResponseHeaders(200, bare ? -1 : Files.size(path));
		if (!bare)
			Files.copy(path, exchange.getResponseBody());
	}

	static void stream(HttpExchange exchange) throws Exception {
		exchange.sendResponseHeaders(200, 0);
		OutputStream body = exchange.getResponseBody();
		for (int i = 0; i < 5; i++) {
			body.write(("piece " + i + "\n").getBytes());
			body.flush();
			Thread.sleep(100);
		}
	}

	static String hash(HttpExchange exchange) throws Exception {
		MessageDigest digest = MessageDigest.getInstance("SHA-256");
		byte[] piece = new byte[65536];
		for (int n; (n = exchange.getRequestBody().read(piece)) >= 0;)
			digest.update(piece, 0, n);
		return String.format("%064x", new BigInteger(1, digest.digest()));
	}

	static void handle(HttpExchange exchange) throws IOException {
		String path = exchange.getRequestURI().getPath();
		String line = exchange.getRequestMethod() + " " + path + "\n";

		Files.writeString(Path.of("access.log"), line, StandardOpenOption.CREATE,
				  StandardOpenOption.APPEND);
		try (exchange) {
			String hash = hash(exchange);
			if (path.equals("/hash"))
				respond(exchange, 200, hash.getBytes());
			else if (path.equals("/stream"))
				stream(exchange);
			else
				respondFile(exchange, Path.of("content" + path));
		} catch (IOException e) {
			throw e;
		} catch (Exception e) {
			throw new IOException(e);
		}
	}

	public static void main(String[] arguments) throws IOException {
		InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(),
								  Integer.parseInt(arguments[0]));
		HttpServer server = HttpServer.create(address, 1024);
		server.createContext("/", App::handle);
		server.setExecutor(Executors.newCachedThreadPool());
		server.start();
	}
}
