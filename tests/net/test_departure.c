// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A port leaves the gate while it stands: what is under way on it ends whole. */
#include <bpf/bpf.h>
#include <string.h>

#include "abi.h"
#include "drained.h"
#include "stand_in.h"

static void remove_port(uint16_t port, const char *query, int status, const char *text)
{
	char target[64], body[1024];
	int got;

	snprintf(target, sizeof(target), "/v1/gates/%u%s", port, query);
	got = api("DELETE", target, NULL, body, sizeof(body));
	if (got != status || !strstr(body, text))
		fail_msg("%d %s; expected %d %s", got, body, status, text);
}

static void await_line(const char *text)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (!count_lines(stage.daemon_log, text)) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

static void await_open(uint16_t port)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (is_gated(port)) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

static void port_leaves(void **state)
{
	struct stand stand;

	(void)state;
	start_configured();
	stand = prepare();
	remove_port(stand.port, "", 409, "still in the configuration");
	configure_without(stand.port);
	remove_port(9999, "", 404, "not protected");
	remove_port(stand.port, "?drain=9999", 400, "from 0 to 3600");
	remove_port(stand.port, "?drain=9", 202, "\"draining\":true");
	remove_port(stand.port, "", 409, "about to leave");
	expect_ended(stand.idle);
	assert_false(lets_in(stand.port));
	assert_true(is_gated(stand.port));
	/* A reload of that file does not cut it short. */
	assert_int_equal(api("POST", "/v1/reload", NULL, (char[4096]){ 0 }, 4096), 200);
	assert_true(is_gated(stand.port));
	finish_answer(&stand);
	expect_ended(stand.busy);
	await_open(stand.port);
	stand_in_leave();
	assert_int_equal(client_get(client_open(stand.port), "/", NULL), 200);
	assert_int_equal(client_get(client_open(applications[NGINX].port), "/", NULL), 401);
}

/* Neither can be: what names the port goes first, and the gate is never without one. */
static void port_is_held(void **state)
{
	const uint16_t port = applications[NGINX].port;
	char text[128];

	(void)state;
	daemon_ports_in_file = false;
	daemon_configure("");
	daemon_start();
	remove_port(port, "", 409, "is named by --port on the daemon's command line. Stop the");
	daemon_stop();
	daemon_ports_in_file = true;
	snprintf(text, sizeof(text), "[port %u]\n", port);
	daemon_configure(text);
	daemon_start();
	daemon_configure("");
	snprintf(text, sizeof(text),
		 "Port %u is the last one: stop the daemon and run sluiced "
		 "--remove --pin",
		 port);
	remove_port(port, "", 409, text);
	remove_port(9999, "", 400, "There is no port to protect");
	assert_true(is_gated(port));
}

static void port_stays(void **state)
{
	struct stand stand;
	char body[4096];

	(void)state;
	start_configured();
	stand = prepare();
	configure_without(stand.port);
	remove_port(stand.port, "?drain=60", 202, "\"draining\":true");
	expect_ended(stand.idle);
	configure_without(0);
	assert_int_equal(api("POST", "/v1/reload", NULL, body, sizeof(body)), 200);
	assert_non_null(strstr(body, "stays protected, and was about to leave"));
	finish_answer(&stand);
	assert_true(client_sees_silence(stand.busy, 400));
	stand_in_leave();
	assert_int_equal(client_get(client_open(stand.port), "/", NULL), 401);
}

/* Somebody else takes it out of the table. */
static void port_is_gone(void **state)
{
	struct gate_key key, *previous = NULL;
	struct stand stand;
	char path[128], text[64];
	size_t stays = count_lines(stage.daemon_log, "stays in the gate");
	int gates;

	(void)state;
	start_configured();
	stand = prepare();
	configure_without(stand.port);
	remove_port(stand.port, "?drain=60", 202, "\"draining\":true");
	snprintf(path, sizeof(path), "%s/gates", stage.pins);
	gates = bpf_obj_get(path);
	assert_true(gates >= 0);
	while (!bpf_map_get_next_key(gates, previous, &key) && key.port != stand.port)
		previous = &key;
	assert_int_equal(bpf_map_delete_elem(gates, &key), 0);
	close(gates);
	snprintf(text, sizeof(text), "Port %u is out of the gate already", stand.port);
	await_line(text);
	assert_int_equal(count_lines(stage.daemon_log, "stays in the gate"), stays);
	stand_in_leave();
}

static void port_time_is_up(void **state)
{
	struct stand stand;
	uint64_t begin_ms;

	(void)state;
	start_configured();
	stand = prepare();
	configure_without(stand.port);
	begin_ms = monotonic_ms();
	remove_port(stand.port, "?drain=1", 202, "\"draining\":true");
	expect_ended(stand.busy);
	assert_in_range(monotonic_ms() - begin_ms, 900, 5000);
	await_open(stand.port);
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "a port leaves once its requests are at their end; nobody is let in before", port_leaves,
	  ONCE },
	{ "a port that is configured again meanwhile stays", port_stays, ONCE },
	{ "a port that is taken out of the table meanwhile has left", port_is_gone, ONCE },
	{ "a port that --port names stays, and so does the last one; the way out is told",
	  port_is_held, ONCE },
	{ "a port leaves when its time is up", port_time_is_up, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
