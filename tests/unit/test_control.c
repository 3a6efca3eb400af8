/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The control socket: a real one, served from the loop while a thread of the test is its client. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "check.h"
#include "control.h"
#include "control_callers.h"
#include "fake_gates.h"
#include "fake_verbs.h"
#include "secret.h"
#include "temp_folder.h"
#include "util.h"

#define ANSWER_SIZE (128 * 1024)

static struct config config = { .socket_group = GROUP_NONE };
static struct kernel *kernel;
static struct store *store;
static struct sync *sync_state;
static struct registry *registry;
static struct service service;
static struct shed shed = { .config = &config.shed };
static struct loop loop;
static struct loop_source done_source, guard;
static int done[2];
static bool timed_out;
static char why[512];

static void on_done(void *data)
{
	char byte;

	(void)data;
	(void)!read(done[0], &byte, 1);
	loop_stop(&loop);
}

static void on_timeout(void *data)
{
	(void)data;
	timed_out = true;
	loop_stop(&loop);
}

static int open_service(void)
{
	struct registry_options options = { .keys_per_account = 10, .key_word = "gx" };

	kernel = fake_kernel_make(64);
	if (store_open(temp_path("sluice.db"), &store, why, sizeof(why)) ||
	    store_open_pepper(store, temp_path("pepper"), options.pepper, why, sizeof(why)) ||
	    sync_start(kernel, store, &sync_state, why, sizeof(why)) ||
	    registry_open(&options, store, sync_state, &registry))
		return -1;
	service = (struct service){ &config, kernel, registry, now_ms(), &fake_verbs, NULL, &shed };
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	timed_out = false;
	if (temp_folder_make() || open_service() || loop_open(&loop) || pipe(done) ||
	    loop_add_descriptor(&loop, &done_source, done[0], on_done, NULL) ||
	    loop_add_timer(&loop, &guard, on_timeout, NULL) || loop_set_timer(&guard, 20000, 0))
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_remove(&loop, &done_source);
	loop_remove(&loop, &guard);
	loop_close(&loop);
	close(done[0]);
	close(done[1]);
	registry_close(registry);
	sync_stop(sync_state);
	store_close(store);
	fake_kernel_free(kernel);
	return temp_folder_remove();
}

static const char *socket_path(void)
{
	return temp_path("run/control.sock");
}

static struct control *start(void)
{
	struct control *control = NULL;

	if (control_start(&loop, &service, socket_path(), &control, why, sizeof(why)))
		print_message("# %s\n", why);
	assert_non_null(control);
	return control;
}

/* A stream socket, bound and listening at path or connected to it. */
static int open_socket(const char *path, bool listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (listening) {
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(listen(fd, 1), 0);
	} else {
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	return fd;
}

/* What the client thread sends on a connection of its own, and what came back before its end. */
struct exchange {
	const char *bytes;
	size_t length;
	char answer[ANSWER_SIZE];
};

static void *send_and_read(void *data)
{
	struct exchange *exchange = data;
	int fd = open_socket(socket_path(), false);
	size_t sent = 0, read_so_far = 0;
	ssize_t n = 1;

	while (sent < exchange->length && n > 0) {
		n = send(fd, exchange->bytes + sent, exchange->length - sent, MSG_NOSIGNAL);
		sent += n > 0 ? n : 0;
	}
	do {
		n = recv(fd, exchange->answer + read_so_far, ANSWER_SIZE - 1 - read_so_far, 0);
		read_so_far += n > 0 ? n : 0;
	} while (n > 0);
	exchange->answer[read_so_far] = '\0';
	close(fd);
	(void)!write(done[1], "x", 1);
	return NULL;
}

/* Serve until the client has its answer. */
static const char *exchange_bytes(const char *bytes, size_t length)
{
	static struct exchange exchange;
	pthread_t thread;

	exchange = (struct exchange){ .bytes = bytes, .length = length };
	assert_int_equal(pthread_create(&thread, NULL, send_and_read, &exchange), 0);
	loop.stopped = false;
	assert_int_equal(loop_run(&loop), 0);
	assert_false(timed_out);
	pthread_join(thread, NULL);
	return exchange.answer;
}

static const char *exchange_text(const char *text)
{
	return exchange_bytes(text, strlen(text));
}

static void expect_start(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)))
		assert_string_equal(text, start);
}

/* A POST to /v1/keys whose body has length bytes: an object, spaces behind it. */
static char *make_post(size_t length, size_t *ret_size)
{
	static const char object[] = "{\"account\":\"acme\",\"label\":\"first\"}";
	char *bytes = malloc(length + 256);
	size_t head = sprintf(bytes,
			      "POST /v1/keys HTTP/1.1\r\nHost: l\r\nConnection: close\r\n"
			      "Content-Length: %zu\r\n\r\n",
			      length);

	memset(bytes + head, ' ', length);
	memcpy(bytes + head, object, sizeof(object) - 1);
	*ret_size = head + length;
	return bytes;
}

static const char *exchange_post(size_t length)
{
	size_t size;
	char *bytes = make_post(length, &size);
	const char *answer = exchange_bytes(bytes, size);

	free(bytes);
	return answer;
}

static void test_modes(void **state)
{
	struct control *control = start();
	struct stat status;

	(void)state;
	assert_int_equal(stat(socket_path(), &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0660);
	assert_int_equal(stat(temp_path("run"), &status), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 0755);
	control_stop(control);
	assert_int_equal(stat(socket_path(), &status), -1);
	assert_int_equal(stat(temp_path("run"), &status), 0);
}

/* --- the socket's mode from its first moment on -------------------------------------------------- */

static mode_t modes_seen; /* bits of any mode that the socket had */
static bool group_late;	  /* the group could connect before it was the one that may */
static gid_t group_wanted;

static void look(void)
{
	struct stat status;

	if (lstat(socket_path(), &status))
		return;
	modes_seen |= status.st_mode & 07777;
	group_late |= status.st_mode & 0060 && status.st_gid != group_wanted;
}

/* In the place of the C library's: each call that can change who may connect, looked at. */
int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int r = syscall(SYS_bind, fd, address, length);

	look();
	return r;
}

int lchown(const char *path, uid_t uid, gid_t gid)
{
	int r = fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);

	look();
	return r;
}

int chmod(const char *path, mode_t mode)
{
	int r = fchmodat(AT_FDCWD, path, mode, 0);

	look();
	return r;
}

int listen(int fd, int backlog)
{
	look();
	return syscall(SYS_listen, fd, backlog);
}

static void expect_never_wider(gid_t group, bool private)
{
	mode_t mode = private ? 0600 : 0660;
	mode_t umask_before = umask(0);
	struct control *control;
	struct stat status;

	config.socket_group = group;
	config.socket_private = private;
	group_wanted = group == GROUP_NONE ? getegid() : group;
	modes_seen = 0;
	group_late = false;
	control = start();
	assert_int_equal(umask(umask_before), 0);
	assert_int_equal(modes_seen, mode);
	assert_false(group_late);
	assert_int_equal(stat(socket_path(), &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | mode);
	assert_int_equal(status.st_gid, group_wanted);
	control_stop(control);
	config.socket_group = GROUP_NONE;
	config.socket_private = false;
}

static void test_never_wider(void **state)
{
	(void)state;
	expect_never_wider(GROUP_NONE, false);
	expect_never_wider(GROUP_NONE, true);
	expect_never_wider(4711, false);
	expect_never_wider(4711, true);
}

static void test_create(void **state)
{
	struct control *control = start();
	const char *answer = exchange_post(100);

	(void)state;
	expect_start(answer, "HTTP/1.1 201 Created\r\n");
	assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(answer, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(answer, ",\"key\":\"gx_"));
	assert_int_equal(kernel->count, 1);
	control_stop(control);
}

static void test_requests_in_turn(void **state)
{
	struct control *control = start();
	const char *answer = exchange_text("GET /v1/keys HTTP/1.1\r\nHost: l\r\n\r\n"
					   "GET /v1/keys?account=%61 HTTP/1.1\r\nHost: l\r\n\r\n"
					   "GET /nowhere?%00 HTTP/1.1\r\nHost: l\r\n"
					   "Connection: close\r\n\r\n");
	const char *second, *third;

	(void)state;
	expect_start(answer, "HTTP/1.1 200 OK\r\n");
	second = strstr(answer, "{\"keys\":[]}HTTP/1.1 200 OK\r\n");
	assert_non_null(second);
	third = strstr(second + 12, "{\"keys\":[]}HTTP/1.1 404 Not Found\r\n");
	assert_non_null(third);
	assert_non_null(strstr(third, "There is nothing at /nowhere."));
	control_stop(control);
}

static void test_head(void **state)
{
	struct control *control = start();
	const char *answer = exchange_text("HEAD /metrics HTTP/1.1\r\nHost: l\r\n"
					   "Connection: close\r\n\r\n");

	(void)state;
	expect_start(answer, "HTTP/1.1 200 OK\r\n");
	assert_string_equal(answer + strlen(answer) - 4, "\r\n\r\n");
	assert_null(strstr(answer, "sluice_"));
	control_stop(control);
}

static void test_allow(void **state)
{
	struct control *control = start();
	const char *answer = exchange_text("PUT /v1/status HTTP/1.1\r\nHost: l\r\n"
					   "Connection: close\r\nContent-Length: 2\r\n\r\n{}");

	(void)state;
	expect_start(answer, "HTTP/1.1 405 Method Not Allowed\r\n");
	assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
	control_stop(control);
}

static void test_largest_body(void **state)
{
	struct control *control = start();

	(void)state;
	expect_start(exchange_post(API_BODY_MAX), "HTTP/1.1 201 Created\r\n");
	control_stop(control);
}

static void test_too_large_body(void **state)
{
	struct control *control = start();
	const char *answer = exchange_post(API_BODY_MAX + 1);

	(void)state;
	expect_start(answer, "HTTP/1.1 400 Bad Request\r\n");
	assert_non_null(strstr(answer, "The body is too large; 65536 bytes are allowed."));
	assert_int_equal(kernel->count, 0);
	control_stop(control);
}

static void test_endless_body(void **state)
{
	struct control *control = start();

	(void)state;
	assert_string_equal(exchange_post(8 << 20), "");
	assert_int_equal(kernel->count, 0);
	control_stop(control);
}

static void test_idle_client(void **state)
{
	struct control *control = start();
	int idle = open_socket(socket_path(), false);

	(void)state;
	assert_int_equal(write(idle, "POST /v1", 8), 8);
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	close(idle);
	control_stop(control);
}

/* As many as are served at once: they are hung up on after 10 s, and the next one is served. */
static void test_idle_crowd(void **state)
{
	struct control *control = start();
	int idle[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++) {
		idle[i] = open_socket(socket_path(), false);
		assert_int_equal(write(idle[i], "POST /v1", 8), 8);
	}
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		close(idle[i]);
	control_stop(control);
}

/* --- more than one is to have -------------------------------------------------------------------- */

/* Connect as another user; the thread's own ids, which glibc does not change for one thread alone. */
static int open_socket_as(uid_t uid)
{
	int fd;

	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
	syscall(SYS_setfsuid, 0); /* the socket's owner */
	fd = open_socket(socket_path(), false);
	assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	return fd;
}

/* What is to be read before the end, or before nothing more comes. */
static void read_to_end(int fd, char *ret_text, size_t size)
{
	const struct timeval patience = { .tv_sec = 2 };
	size_t length = 0;
	ssize_t n;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	do {
		n = recv(fd, ret_text + length, size - 1 - length, 0);
		length += n > 0 ? n : 0;
	} while (n > 0);
	ret_text[length] = '\0';
}

static void test_crowd_of_one_user(void **state)
{
	struct control *control = start();
	int idle[CALLER_CONNECTIONS_MAX], more, other;
	char text[1024], byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++) {
		idle[i] = open_socket_as(4711);
		assert_int_equal(write(idle[i], "POST /v1", 8), 8);
	}
	more = open_socket_as(4711);
	other = open_socket_as(4712);
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	read_to_end(more, text, sizeof(text));
	expect_start(text, "HTTP/1.1 503 Service Unavailable\r\n");
	assert_non_null(strstr(text, "\"code\":\"UNAVAILABLE\""));
	assert_int_equal(recv(other, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(more);

	/* One that ends makes room for another. */
	close(idle[0]);
	expect_start(exchange_post(101), "HTTP/1.1 409 Conflict\r\n");
	idle[0] = open_socket_as(4711);
	expect_start(exchange_post(102), "HTTP/1.1 409 Conflict\r\n");
	assert_int_equal(recv(idle[0], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		close(idle[i]);
	close(other);
	control_stop(control);
}

/* Clients that do not get done: a head and a body that go on for ever, and one that does not read. */
enum { HEAD, BODY, READER, DAWDLERS };

static struct dawdler {
	int fd;
	const char *begin;
	const char *more; /* each 100 ms */
	unsigned int ended_ms;
} dawdlers[DAWDLERS] = {
	[HEAD] = { .begin = "GET /", .more = "a" },
	[BODY] = { .begin = "POST /v1/keys HTTP/1.1\r\nHost: l\r\nContent-Length: 9999\r\n\r\n",
		   .more = " " },
	[READER] = { .begin = "GET /metrics HTTP/1.1\r\nHost: l\r\n\r\n",
		     .more = "GET /metrics HTTP/1.1\r\nHost: l\r\n\r\n" },
};

static bool has_ended(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLRDHUP };

	return poll(&end, 1, 0) == 1 && end.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void *dawdle(void *data)
{
	(void)data;
	for (int i = 0; i < DAWDLERS; i++)
		(void)!write(dawdlers[i].fd, dawdlers[i].begin, strlen(dawdlers[i].begin));
	for (unsigned int ms = 0; ms < 18000; ms += 100) {
		usleep(100000);
		for (int i = 0; i < DAWDLERS; i++) {
			struct dawdler *dawdler = &dawdlers[i];
			size_t length = strlen(dawdler->more);

			if (!dawdler->ended_ms && has_ended(dawdler->fd))
				dawdler->ended_ms = ms;
			/* Questions until there is no more room for them. */
			while (send(dawdler->fd, dawdler->more, length,
				    MSG_DONTWAIT | MSG_NOSIGNAL) > 0 &&
			       i == READER)
				;
		}
	}
	(void)!write(done[1], "x", 1);
	return NULL;
}

static void test_dawdlers(void **state)
{
	struct control *control = start();
	pthread_t thread;

	(void)state;
	for (int i = 0; i < DAWDLERS; i++)
		dawdlers[i].fd = open_socket(socket_path(), false);
	assert_int_equal(pthread_create(&thread, NULL, dawdle, NULL), 0);
	loop.stopped = false;
	assert_int_equal(loop_run(&loop), 0);
	pthread_join(thread, NULL);
	assert_false(timed_out);
	assert_in_range(dawdlers[HEAD].ended_ms, 13000, 17000);
	assert_in_range(dawdlers[BODY].ended_ms, 13000, 17000);
	assert_in_range(dawdlers[READER].ended_ms, 8000, 17000);
	for (int i = 0; i < DAWDLERS; i++)
		close(dawdlers[i].fd);
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	control_stop(control);
}

/* Whatever comes, it harms nobody else. */
static void test_garbage(void **state)
{
	static const char seed[] = "POST /v1/keys HTTP/1.1\r\nHost: l\r\nContent-Length: 9\r\n"
				   "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
				   "\r\n4\r\n{\"a\":\r\n0\r\n\r\n";
	static const char status[] = "GET /v1/status HTTP/1.1\r\nHost: l\r\n"
				     "Connection: close\r\n\r\n";
	struct control *control = start();
	char bytes[sizeof(seed)];

	(void)state;
	srandom(4711);
	for (int round = 0; round < 1000; round++) {
		int fd = open_socket(socket_path(), false);

		memcpy(bytes, seed, sizeof(seed));
		for (int i = random() % 8; i >= 0; i--)
			bytes[random() % sizeof(seed)] = random();
		assert_true(write(fd, bytes, 1 + random() % sizeof(seed)) > 0);
		close(fd);
		if (round % 20 == 0)
			expect_start(exchange_text(status), "HTTP/1.1 200 OK\r\n");
	}
	control_stop(control);
}

static void test_long_head(void **state)
{
	static char bytes[128 * 1024];
	struct control *control = start();
	size_t length = sprintf(bytes, "GET /v1/status HTTP/1.1\r\nHost: l\r\nX: ");

	(void)state;
	memset(bytes + length, 'x', sizeof(bytes) - length);
	expect_start(exchange_bytes(bytes, sizeof(bytes)), "HTTP/1.1 431 ");
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	control_stop(control);
}

/* Closing hangs up on a client in the middle of its request. */
static void test_stop_while_busy(void **state)
{
	struct control *control = start();
	int idle = open_socket(socket_path(), false);
	char byte;

	(void)state;
	assert_int_equal(write(idle, "POST /v1", 8), 8);
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	control_stop(control);
	assert_true(recv(idle, &byte, 1, 0) <= 0);
	close(idle);
}

static void test_stale(void **state)
{
	struct control *control;

	(void)state;
	assert_int_equal(mkdir(temp_path("run"), 0700), 0);
	close(open_socket(socket_path(), true));
	control = start();
	expect_start(exchange_post(100), "HTTP/1.1 201 Created\r\n");
	control_stop(control);
}

/* What a start that is refused says; what is at the path must still be there. */
static void expect_refused(int error, const char *message)
{
	struct control *control = NULL;
	struct stat before, after;

	assert_int_equal(lstat(socket_path(), &before), 0);
	assert_int_equal(control_start(&loop, &service, socket_path(), &control, why, sizeof(why)),
			 error);
	assert_null(control);
	assert_non_null(strstr(why, message));
	assert_int_equal(lstat(socket_path(), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_answered(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(mkdir(temp_path("run"), 0700), 0);
	fd = open_socket(socket_path(), true);
	expect_refused(-EADDRINUSE, "Another process answers at the control socket");
	close(fd);
}

static void test_no_socket(void **state)
{
	FILE *file;

	(void)state;
	assert_int_equal(mkdir(temp_path("run"), 0700), 0);
	file = fopen(socket_path(), "w");
	assert_non_null(file);
	fclose(file);
	expect_refused(-EEXIST, "There is something at");
}

static void test_no_folder(void **state)
{
	struct control *control = NULL;

	(void)state;
	assert_int_equal(control_start(&loop, &service, temp_path("a/b/c.sock"), &control, why,
				       sizeof(why)),
			 -ENOENT);
	assert_non_null(strstr(why, "its folder: No such file or directory."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("the socket has mode 0660 and goes with its owner", test_modes),
		ROW("it never has a wider mode than set, nor that for another group",
		    test_never_wider),
		ROW("a key is created over the socket", test_create),
		ROW("a connection carries one request after another", test_requests_in_turn),
		ROW("HEAD is answered without a body", test_head),
		ROW("405 comes with Allow", test_allow),
		ROW("a body of 64 KiB arrives whole", test_largest_body),
		ROW("a larger body is refused with a message", test_too_large_body),
		ROW("a body without end is hung up on", test_endless_body),
		ROW("a client that says nothing keeps nobody waiting", test_idle_client),
		ROW("a crowd that says nothing is hung up on", test_idle_crowd),
		ROW("one user's connections leave room for those of others",
		    test_crowd_of_one_user),
		ROW("who does not get done in 15 s is hung up on, sending or reading",
		    test_dawdlers),
		ROW("a head that is too long is refused", test_long_head),
		ROW("garbage harms nobody", test_garbage),
		ROW("stopping ends the connections that are open", test_stop_while_busy),
		ROW("a socket that nobody answers at is replaced", test_stale),
		ROW("a socket that somebody answers at is left alone", test_answered),
		ROW("what is no socket is left alone", test_no_socket),
		ROW("a folder that cannot be made is told", test_no_folder),
	};

	if (sodium_init() < 0)
		return 1;
	secret_wipe_json();
	umask(077);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
