/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was judged is given on whole, or it is said what became of it. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "relay_sockets.h"
#include "util.h"

#define LATE_US 100000

static int injector[2], deliverer[2];

/* Sockets without the gate's programs: what is sent comes out. */
static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, injector) ||
	       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, deliverer);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		close_descriptor(&injector[i]);
		close_descriptor(&deliverer[i]);
	}
	return 0;
}

static void pass(const char *bytes)
{
	assert_int_equal(send(injector[0], bytes, strlen(bytes), 0), strlen(bytes));
}

static void expect_delivered(const char *bytes)
{
	char text[64];

	assert_int_equal(read(deliverer[1], text, sizeof(text)), strlen(bytes));
	assert_memory_equal(text, bytes, strlen(bytes));
}

static void test_delivered(void **state)
{
	(void)state;
	pass("first");
	pass("second");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 5), 0);
	expect_delivered("first");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 6), 0);
	expect_delivered("second");
}

static void *pass_late(void *data)
{
	usleep(LATE_US);
	pass(data);
	return NULL;
}

/* The kernel may leave it to its worker. */
static void test_late(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, pass_late, "late"), 0);
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 4), 0);
	pthread_join(thread, NULL);
	expect_delivered("late");
}

/* What is not what was judged goes nowhere. */
static void test_something_else(void **state)
{
	char byte;

	(void)state;
	pass("short");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 6), -EBADMSG);
	pass("long");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 3), -EBADMSG);
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 3), -EBADMSG); /* nothing */
	assert_int_equal(recv(deliverer[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* No signal ends the relay for it. */
static void test_gone(void **state)
{
	(void)state;
	close_descriptor(&deliverer[1]);
	pass("gone");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 4), -EPIPE);
}

static void test_no_room(void **state)
{
	static const char bytes[4096];

	(void)state;
	while (send(deliverer[0], bytes, sizeof(bytes), MSG_DONTWAIT) >= 0)
		;
	pass("full");
	assert_int_equal(relay_deliver(injector[1], deliverer[0], 4), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("what was judged is given on, each by itself", test_delivered),
		ROW("what comes late is waited for", test_late),
		ROW("something else than what was judged is not given on", test_something_else),
		ROW("that the connection is gone is said", test_gone),
		ROW("that there is no room is said", test_no_room),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("relay_sockets", tests, NULL, NULL);
}
