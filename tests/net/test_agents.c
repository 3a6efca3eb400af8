// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Another agent on the gate's cgroup, which is called for its connections as the gate is. What a socket's
 * programs are called for is one word, and whoever writes it last has it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "test/agent.skel.h"

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
	assert_true(count_lines(stage.daemon_log, "ended without the gate being called") > 0);
	assert_true(status_number("counts.connectionsClosed") >= CONNECTIONS - ROOM);
	agent_bpf__destroy(agent);
}

static const struct promise promises[] = {
	{ "an agent that came first is called as before, and so is the gate", came_first, ONCE },
	{ "an agent that comes later, and has the gate called no more: places become free",
	  comes_later, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
