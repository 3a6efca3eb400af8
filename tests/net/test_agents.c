// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Another agent on the gate's cgroup, which is called for its connections as the gate is. What a socket's
 * programs are called for is one word, and whoever writes it last has it.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "stand_in.h"
#include "test/agent.skel.h"

#define WARNING "ended without the gate being called"

static struct agent_bpf *agent_open(void)
{
	int cgroup = open(stage.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct agent_bpf *agent = agent_bpf__open_and_load();

	assert_true(cgroup >= 0);
	assert_non_null(agent);
	agent->links.agent_calls = bpf_program__attach_cgroup(agent->progs.agent_calls, cgroup);
	assert_non_null(agent->links.agent_calls);
	close(cgroup);
	return agent;
}

/* The gate asks for its calls beside the agent's. */
static void came_first(void **state)
{
	struct agent_bpf *agent = agent_open();
	struct client *client;
	struct key key;

	(void)state;
	daemon_start();
	key = key_limited(0, 0);
	client = client_open(applications[NGINX].port);
	for (int i = 0; i < 10; i++)
		assert_int_equal(client_get(client, "/", key.text), 200);
	assert_true(agent->bss->called > 0);
	client_close(client);
	expect_no_connections();
	agent_bpf__destroy(agent);
}

/* The gate is not told that connections end. Their places become free all the same. */
static void comes_later(void **state)
{
	enum { ROOM = 64, CONNECTIONS = 140 };
	struct agent_bpf *agent;
	struct client client;
	struct key key;

	(void)state;
	daemon_configure("[sluice]\nmax_connections = 64\n");
	daemon_start();
	key = key_limited(1000, 10000);
	agent = agent_open();
	/* Who is turned away for want of room tries again. */
	for (int i = 0; i < CONNECTIONS; i++) {
		assert_int_equal(client_connect(&client, applications[NGINX].port), 0);
		assert_int_equal(client_get(&client, "/", key.text), 200);
		client_close(&client);
	}
	assert_in_range(status_number("connections.open"), 1, ROOM);
	assert_true(count_lines(stage.daemon_log, WARNING) > 0);
	assert_true(status_number("counts.connectionsClosed") >= CONNECTIONS - ROOM);
	agent_bpf__destroy(agent);
}

/* An answer that its client has not read holds the place of a connection that the application has closed. */
static void unread(void **state)
{
	enum { ROOM = 64, SIZE = 1000000, LOOKED_FOR_MS = 7000 };
	static char answer[SIZE + 128];
	static struct client clients[ROOM];
	size_t size = stand_in_make_answer(answer, SIZE);
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), server;
	size_t warned = count_lines(stage.daemon_log, WARNING);
	struct key key;

	(void)state;
	daemon_configure("[sluice]\nmax_connections = 64\n");
	daemon_start();
	key = key_limited(1000, 10000);
	stand_in_listen();
	for (int i = 0; i < ROOM; i++) {
		assert_int_equal(client_connect(&clients[i], applications[THREADED].port), 0);
		client_request(&clients[i], key.text);
		server = stand_in_accept();
		stand_in_receive(server);
		assert_true(send(server, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
		dup3(nothing, server, O_CLOEXEC);
	}
	close(nothing);
	usleep(LOOKED_FOR_MS * 1000);
	assert_int_equal(status_number("connections.open"), ROOM);
	assert_int_equal(count_lines(stage.daemon_log, WARNING), warned);
	for (int i = 0; i < ROOM; i++)
		client_abort(&clients[i]);
	expect_no_connections();
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "an agent that came first is called as before, and so is the gate", came_first, ONCE },
	{ "an agent that comes later, and has the gate called no more: places become free",
	  comes_later, ONCE },
	{ "a connection that was closed before its answer was read is not taken for such", unread,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
