/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What one relay hands to the next arrives, and nothing else does. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "relay_hand.h"
#include "util.h"

#define NOBODY 65534

static char folder[] = "/tmp/sluice-relay-hand.XXXXXX";
static char state_folder[192];
static int listener;

static void path_in_folder(const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%s", folder, name);
}

/* The state folder's name is longer than a socket's address. */
static int set_up(void **state)
{
	char name[110], path[192];

	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	memset(name, 's', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	path_in_folder("relay", path, sizeof(path));
	path_in_folder(name, state_folder, sizeof(state_folder));
	if (mkdir(path, 0700) || mkdir(state_folder, 0700))
		return -1;
	listener = relay_hand_listen(folder, state_folder);
	return listener < 0;
}

/* Nothing is left of socket and link. */
static int tear_down(void **state)
{
	char path[192];

	(void)state;
	path_in_folder("relay", path, sizeof(path));
	close_descriptor(&listener);
	return relay_hand_withdraw(folder) || rmdir(state_folder) || rmdir(path) || rmdir(folder);
}

static void expect_none(const struct relay_hand *hand)
{
	assert_int_equal(hand->state, -1);
	assert_int_equal(hand->sink[0], -1);
	assert_int_equal(hand->sink[1], -1);
}

static void test_arrives(void **state)
{
	struct relay_hand sent = { .state = relay_hand_memory() }, received;
	char text[8] = "";
	int former;

	(void)state;
	assert_true(sent.state >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sent.sink), 0);
	assert_int_equal(write(sent.state, "kept", 4), 4);
	assert_int_equal(relay_hand_send(folder, &sent), 0);
	assert_int_equal(write(sent.sink[1], "sunk", 4), 4);
	relay_hand_close(&sent); /* the one that sent it has ended */
	former = relay_hand_accept(listener);
	assert_true(former >= 0);
	assert_int_equal(relay_hand_receive(former, &received), 0);
	assert_int_equal(pread(received.state, text, sizeof(text), 0), 4);
	assert_string_equal(text, "kept");
	assert_int_equal(read(received.sink[0], text, 4), 4);
	assert_string_equal(text, "sunk");
	assert_int_equal(fcntl(received.state, F_GETFD), FD_CLOEXEC);
	relay_hand_close(&received);
	expect_none(&received);
	assert_int_equal(relay_hand_accept(listener), -EAGAIN);
	close(former);
}

/* A link that a daemon left, whose name is nobody's any more. */
static void test_nobody_listens(void **state)
{
	struct relay_hand hand = { .state = relay_hand_memory(), .sink = { 0, 0 } };

	(void)state;
	close(listener);
	listener = -1;
	assert_int_equal(relay_hand_send(folder, &hand), -ECONNREFUSED);
	listener = relay_hand_listen(folder, state_folder);
	assert_true(listener >= 0);
	assert_int_equal(relay_hand_send(folder, &hand), 0);
	close(hand.state);
}

static void test_no_connection(void **state)
{
	struct relay_hand hand;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(relay_hand_receive(null, &hand), -ENOTSOCK);
	expect_none(&hand);
	close(null);
}

/* In a process of another user's: whether it gets nowhere, though all folders are open. */
static bool is_kept_out(const struct relay_hand *hand)
{
	struct stat status;
	char path[256];

	path_in_folder("relay", path, sizeof(path));
	if (chmod(folder, 0755) || chmod(path, 0755) || chmod(state_folder, 0777) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return false;
	snprintf(path, sizeof(path), "%s/relay.socket", state_folder);
	return !stat(path, &status) && (status.st_mode & 0777) == 0600 &&
	       relay_hand_send(folder, hand) == -EACCES;
}

static void test_another_user(void **state)
{
	struct relay_hand hand = { .state = relay_hand_memory(), .sink = { 0, 0 } };
	int status, former;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = fork();
	if (!pid)
		_exit(!is_kept_out(&hand));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(relay_hand_send(folder, &hand), 0);
	former = relay_hand_accept(listener);
	assert_true(former >= 0);
	assert_int_equal(relay_hand_receive(former, &hand), 0);
	relay_hand_close(&hand);
	close(former);
	assert_int_equal(relay_hand_accept(listener), -EAGAIN);
}

/* --- messages that are not of this version ------------------------------------------------------- */

struct wrong {
	const char *name;
	size_t length; /* of what goes with the descriptors */
	unsigned int version;
	int descriptors;
};

static const struct wrong wrongs[] = {
	{ "another version", 4, 2, 3 },
	{ "a short one", 3, 1, 3 },
	{ "a long one", 8, 1, 3 },
	{ "no descriptor", 4, 1, 0 },
	{ "too few descriptors", 4, 1, 1 },
	{ "too few by one", 4, 1, 2 },
	{ "too many descriptors", 4, 1, 20 },
};

static void send_wrong(int fd, const struct wrong *wrong)
{
	unsigned int bytes[2] = { wrong->version, 0 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(20 * sizeof(int))] = { 0 };
	struct iovec piece = { bytes, wrong->length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	struct cmsghdr *rights;

	if (wrong->descriptors) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(wrong->descriptors * sizeof(int));
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(wrong->descriptors * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &message, 0), wrong->length);
}

/* The next descriptor that would be given out tells whether any was left open. */
static int next_descriptor(void)
{
	int fd = dup(listener);

	close(fd);
	return fd;
}

static void test_wrong_messages(void **state)
{
	struct relay_hand hand;
	int pair[2], next;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	next = next_descriptor();
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		send_wrong(pair[0], &wrongs[i]);
		if (relay_hand_receive(pair[1], &hand) != -EPROTO)
			fail_msg("%s is taken", wrongs[i].name);
		expect_none(&hand);
		assert_int_equal(next_descriptor(), next);
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW("what is handed over arrives, though who sent it has ended", test_arrives),
		ROW("a daemon that is gone gets nothing, the next one does", test_nobody_listens),
		ROW("what is no connection hands nothing over", test_no_connection),
		ROW("another user cannot connect", test_another_user),
		ROW("messages of other versions are refused, and closed", test_wrong_messages),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("relay_hand", tests, NULL, NULL);
}
