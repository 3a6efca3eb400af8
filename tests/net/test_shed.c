// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sources are dropped where they arrive: by hand and by their refusals, on protected ports alone, for a time. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "bpf_left.h"
#include "harness.h"
#include "http_client.h"
#include "outside.h"

#define SILENCE_MS 1500 /* a client's handshake is sent twice in that time */
#define SHED	   "[shed]\ninterfaces = " OUTSIDE_INTERFACE "\n"
#define PORT	   (applications[THREADED].port)

static void start(const char *configuration)
{
	outside_make();
	daemon_configure(configuration);
	daemon_start();
}

static void call(const char *method, const char *target, const char *body, int status,
		 const char *text)
{
	char answer[4096];
	int got = api(method, target, body, answer, sizeof(answer));

	if (got != status || !strstr(answer, text))
		fail_msg("%s %s: %d %s; expected %d %s", method, target, got, answer, status, text);
}

static void shed(const char *source, unsigned int seconds)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"source\":\"%s\",\"seconds\":%u}", source, seconds);
	call("POST", "/v1/shed", body, 201, source);
}

static void reload(const char *configuration, int status, const char *text)
{
	daemon_configure(configuration);
	call("POST", "/v1/reload", NULL, status, text);
}

/* What the list tells of a source; -1: it is not in it. */
static int64_t listed(const char *source, const char *member)
{
	static char text[65536];
	json_t *answer;
	const json_t *row;
	int64_t value = -1;
	size_t i;

	assert_int_equal(api("GET", "/v1/shed", NULL, text, sizeof(text)), 200);
	answer = json_loads(text, 0, NULL);
	assert_non_null(answer);
	json_array_foreach(json_object_get(answer, "sources"), i,
			   row) if (!strcmp(json_string_value(json_object_get(row, "source")),
					    source)) value =
		json_integer_value(json_object_get(row, member));
	json_decref(answer);
	return value;
}

static bool lets_in(const char *address)
{
	struct client *client = outside_connect(address, PORT, SILENCE_MS);

	if (client)
		client_close(client);
	return client;
}

/* On new connections and on open ones; others are not, nor are other ports. */
static void dropped(void **state)
{
	struct client *open, *good;
	struct key key;

	(void)state;
	start(SHED);
	key = key_limited(1000, 1000);
	open = outside_connect(OUTSIDE_BAD, PORT, PATIENCE_MS);
	good = outside_connect(OUTSIDE_GOOD, PORT, PATIENCE_MS);
	assert_int_equal(client_get(open, "/", key.text), 200);
	shed(OUTSIDE_BAD, 600);
	client_request(open, key.text);
	assert_true(client_sees_silence(open, SILENCE_MS));
	assert_false(lets_in(OUTSIDE_BAD));
	assert_int_equal(client_get(good, "/", key.text), 200);
	assert_true(lets_in(OUTSIDE_GOOD));
	assert_true(listed(OUTSIDE_BAD, "dropped") >= 3);
	assert_int_equal(status_number("counts.shedDropped"), listed(OUTSIDE_BAD, "dropped"));
	assert_int_equal(status_number("shed.sources"), 1);
	call("DELETE", "/v1/shed/" OUTSIDE_BAD, NULL, 200, OUTSIDE_BAD);
	assert_true(lets_in(OUTSIDE_BAD));
	assert_int_equal(listed(OUTSIDE_BAD, "dropped"), -1);
	assert_true(count_lines(stage.daemon_log, OUTSIDE_BAD " shed for 600 s"));
	assert_true(count_lines(stage.daemon_log, OUTSIDE_BAD " shed no more"));
}

static void other_ports(void **state)
{
	(void)state;
	daemon_ports_in_file = true;
	start(SHED "[port 9999]\n");
	shed(OUTSIDE_BAD, 600);
	assert_true(lets_in(OUTSIDE_BAD));
	assert_int_equal(status_number("counts.shedDropped"), 0);
}

static void by_ipv6(void **state)
{
	(void)state;
	start(SHED);
	shed("2001:db8:78::/64", 600);
	assert_false(lets_in(OUTSIDE_BAD6));
	assert_false(lets_in(OUTSIDE_BESIDE6));
	assert_true(lets_in(OUTSIDE_GOOD6));
	call("DELETE", "/v1/shed/2001%3Adb8%3A78%3A%3A%2F64", NULL, 200, "2001:db8:78::/64");
	assert_true(lets_in(OUTSIDE_BESIDE6));
}

static void prefixes(void **state)
{
	(void)state;
	start(SHED "ipv4_prefix = 31\nipv6_prefix = 128\n");
	shed("10.77.0.2/31", 600);
	assert_false(lets_in("10.77.0.2"));
	assert_false(lets_in("10.77.0.3"));
	assert_true(lets_in("10.77.0.4"));
	shed(OUTSIDE_BAD6, 600);
	assert_false(lets_in(OUTSIDE_BAD6));
	assert_true(lets_in(OUTSIDE_BESIDE6));
	/* Addresses are no networks: what is shed is one of the others. */
	daemon_stop();
	start(SHED "ipv4_prefix = 32\nipv6_prefix = 128\n");
	assert_int_equal(status_number("shed.sources"), 0);
	assert_true(lets_in("10.77.0.2"));
}

static void await_in(const char *address)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (!lets_in(address))
		assert_true(monotonic_ms() < end_ms);
}

/* By itself, whether or not a daemon runs; told where one does. */
static void time_is_over(void **state)
{
	(void)state;
	start(SHED);
	shed(OUTSIDE_BAD, 2);
	assert_false(lets_in(OUTSIDE_BAD));
	await_in(OUTSIDE_BAD);
	while (!count_lines(stage.daemon_log, OUTSIDE_BAD " is not shed any more"))
		breathe();
	shed(OUTSIDE_BAD, 4);
	daemon_kill();
	assert_false(lets_in(OUTSIDE_BAD));
	await_in(OUTSIDE_BAD);
}

static void restart(void **state)
{
	int64_t before;

	(void)state;
	start(SHED);
	shed(OUTSIDE_BAD, 600);
	assert_false(lets_in(OUTSIDE_BAD));
	before = listed(OUTSIDE_BAD, "dropped");
	daemon_kill();
	assert_false(lets_in(OUTSIDE_BAD));
	daemon_start();
	assert_true(listed(OUTSIDE_BAD, "dropped") > before);
	assert_false(lets_in(OUTSIDE_BAD));
	assert_true(lets_in(OUTSIDE_GOOD));
}

static void exempt(void **state)
{
	(void)state;
	start(SHED);
	shed(OUTSIDE_BAD, 600);
	call("POST", "/v1/shed", "{\"source\":\"127.0.0.1\"}", 409, "The source is exempt");
	call("POST", "/v1/shed", "{\"source\":\"" OUTSIDE_SERVER "\"}", 409, "exempt");
	call("POST", "/v1/shed", "{\"source\":\"" OUTSIDE_SERVER6 "\"}", 409, "exempt");
	reload(SHED "exempt = 10.77.0.0/29\n", 200,
	       "shed: exempt is 10.77.0.0/29, and was empty\"");
	assert_true(lets_in(OUTSIDE_BAD));
	call("POST", "/v1/shed", "{\"source\":\"" OUTSIDE_BAD "\"}", 409, "exempt");
	shed("10.77.0.9", 600);
	assert_false(lets_in("10.77.0.9"));
}

/* Off, on again, and what a reload cannot do. */
static void by_reload(void **state)
{
	(void)state;
	start("");
	call("POST", "/v1/shed", "{\"source\":\"" OUTSIDE_BAD "\"}", 409, "names no network");
	reload(SHED, 200, "shed: interfaces is " OUTSIDE_INTERFACE ", and was empty\"");
	shed(OUTSIDE_BAD, 600);
	assert_false(lets_in(OUTSIDE_BAD));
	reload(SHED "max_sources = 100\n", 409, "max_sources cannot change from '65536' to '100'");
	reload("[shed]\ninterfaces = " OUTSIDE_INTERFACE " lost0\n", 409,
	       "There is no network interface lost0, which interfaces in [shed] names. Nothing");
	assert_false(lets_in(OUTSIDE_BAD));
	reload("", 200, "shed: interfaces is empty, and was " OUTSIDE_INTERFACE "\"");
	assert_true(lets_in(OUTSIDE_BAD));
}

static void full(void **state)
{
	char source[32];

	(void)state;
	start(SHED "max_sources = 16\n");
	for (int i = 0; i < 16; i++) {
		snprintf(source, sizeof(source), "203.0.113.%d", i);
		shed(source, 600);
	}
	call("POST", "/v1/shed", "{\"source\":\"" OUTSIDE_BAD "\"}", 409, "LIMIT_REACHED");
	assert_int_equal(status_number("counts.shedFull"), 1);
	assert_int_equal(status_number("shed.max"), 16);
	assert_true(lets_in(OUTSIDE_BAD));
}

/* --- by its refusals ----------------------------------------------------------------------------- */

#define REFUSALS  10
#define AUTOMATIC SHED "refusals = 10\nseconds = 10\nfirst = 2\ncap = 3\n"

/* Be refused so many times on one connection. */
static void offend(struct client *client, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++)
		assert_int_equal(client_get(client, "/", unknown_key()), 401);
}

static void await_listed(const char *source)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	while (listed(source, "times") < 0) {
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

/* At the tenth refusal, whatever was admitted meanwhile; the next time for longer. */
static void by_refusals(void **state)
{
	struct client *client, *good;
	struct key key;

	(void)state;
	start(AUTOMATIC);
	key = key_limited(1000, 1000);
	good = outside_connect(OUTSIDE_GOOD, PORT, PATIENCE_MS);
	for (int time = 1; time <= 3; time++) {
		client = outside_connect(OUTSIDE_BAD, PORT, PATIENCE_MS);
		offend(client, REFUSALS - 1);
		assert_int_equal(client_get(client, "/", key.text), 200);
		assert_int_equal(listed(OUTSIDE_BAD, "times"), -1);
		offend(client, 1);
		await_listed(OUTSIDE_BAD);
		assert_int_equal(listed(OUTSIDE_BAD, "times"), time);
		assert_in_range(listed(OUTSIDE_BAD, "secondsLeft"), 1, time == 1 ? 2 : 3);
		client_request(client, key.text);
		assert_true(client_sees_silence(client, 500));
		assert_int_equal(client_get(good, "/", key.text), 200);
		await_in(OUTSIDE_BAD);
		client_close(client);
	}
	assert_int_equal(count_lines(stage.daemon_log, OUTSIDE_BAD
				     " is shed for 2 s: it had 10 refusals within 10 s."),
			 1);
	assert_int_equal(count_lines(stage.daemon_log, OUTSIDE_BAD " is shed for 3 s: "), 2);
}

static void in_a_window(void **state)
{
	struct client *client;

	(void)state;
	start(SHED "refusals = 10\nseconds = 1\n");
	client = outside_connect(OUTSIDE_BAD, PORT, PATIENCE_MS);
	for (int i = 0; i < 3; i++) {
		offend(client, REFUSALS - 1);
		sleep_until_ms(now_ms() + 1200);
	}
	assert_int_equal(status_number("shed.sources"), 0);
}

/* No key, a bad request and a used-up limit count like an invalid key. */
static void of_all_kinds(void **state)
{
	struct client *client;
	struct key key;

	(void)state;
	need_window_ms(5000);
	start(AUTOMATIC);
	key = key_limited(1, 10);
	client = outside_connect(OUTSIDE_BAD6, PORT, PATIENCE_MS);
	assert_int_equal(client_get(client, "/", key.text), 200);
	for (int i = 0; i < 4; i++)
		assert_int_equal(client_get(client, "/", key.text), 429);
	for (int i = 0; i < 5; i++)
		assert_int_equal(client_get(client, "/", NULL), 401);
	client = outside_connect(OUTSIDE_BESIDE6, PORT, PATIENCE_MS);
	client_printf(client, "BAD\r\n\r\n");
	await_listed("2001:db8:78::/64");
}

static void never_exempt(void **state)
{
	struct client *client;

	(void)state;
	start(AUTOMATIC "exempt = " OUTSIDE_BAD "\n");
	offend(outside_connect(OUTSIDE_BAD, PORT, PATIENCE_MS), 5 * REFUSALS);
	client = client_open(PORT);
	offend(client, 5 * REFUSALS);
	assert_int_equal(status_number("shed.sources"), 0);
	/* One that is not is told behind them. */
	offend(outside_connect(OUTSIDE_GOOD, PORT, PATIENCE_MS), REFUSALS);
	await_listed(OUTSIDE_GOOD);
	assert_int_equal(status_number("shed.sources"), 1);
}

/* While it is off nothing is counted. */
static void off(void **state)
{
	struct client *client;

	(void)state;
	start("");
	client = outside_connect(OUTSIDE_BAD, PORT, PATIENCE_MS);
	offend(client, 5 * REFUSALS);
	reload(AUTOMATIC, 200, "shed: ");
	offend(client, REFUSALS - 1);
	assert_int_equal(status_number("shed.sources"), 0);
	offend(client, 1);
	await_listed(OUTSIDE_BAD);
}

/* --- what is in its way --------------------------------------------------------------------------- */

/* An XDP program of somebody else's, that passes all. */
static int load_other(void)
{
	const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", pass, ARRAY_SIZE(pass), NULL);

	assert_true(fd >= 0);
	return fd;
}

static void expect_not_started(const char *text)
{
	char log[128];
	int status;

	snprintf(log, sizeof(log), "%s/refused.log", stage.folder);
	unlink(log);
	status = process_stop(process_start(log, daemon_command(0)), 0);
	if (status < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
	    !count_lines(log, text)) {
		show_file(log);
		fail_msg("status %#x; it should say: %s", status, text);
	}
	assert_true(access(stage.pins, F_OK));
}

static void others_program(void **state)
{
	int program = load_other(), link;

	(void)state;
	outside_make();
	link = bpf_link_create(program, if_nametoindex(OUTSIDE_INTERFACE), BPF_XDP, NULL);
	assert_true(link >= 0);
	daemon_configure(SHED);
	expect_not_started("On the network interface " OUTSIDE_INTERFACE
			   " there is another XDP program already, number ");
	start("");
	reload(SHED, 409, "there is another XDP program already, number ");
	close(link);
	/* The kernel takes it off some time after. */
	for (uint64_t end_ms = monotonic_ms() + PATIENCE_MS; monotonic_ms() < end_ms; breathe())
		if (api("POST", "/v1/reload", NULL, (char[4096]){ 0 }, 4096) == 200)
			break;
	shed(OUTSIDE_BAD, 600);
	assert_false(lets_in(OUTSIDE_BAD));
	close(program);
}

static void missing(void **state)
{
	(void)state;
	outside_make();
	daemon_configure("[shed]\ninterfaces = lost0\n");
	expect_not_started(
		"There is no network interface lost0, which interfaces in [shed] names.");
}

/* Frames as a trunk has them, whose tags no network card has taken off. */
static void tagged(void **state)
{
	struct {
		struct ethhdr ethernet;
		uint16_t tags[4];
		struct iphdr ip;
		struct tcphdr tcp;
	} __attribute__((packed)) frame = {
		.ethernet = { .h_dest = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
			      .h_proto = htons(ETH_P_8021AD) },
		.tags = { htons(5), htons(ETH_P_8021Q), htons(6), htons(ETH_P_IP) },
		.ip = { .version = 4, .ihl = 5, .protocol = IPPROTO_TCP },
		.tcp = { .syn = 1, .doff = 5 },
	};
	uint64_t end_ms;

	(void)state;
	start(SHED);
	shed(OUTSIDE_BAD, 600);
	frame.ip.saddr = inet_addr(OUTSIDE_BAD);
	frame.ip.daddr = inet_addr(OUTSIDE_SERVER);
	frame.tcp.dest = htons(PORT);
	outside_send_frame(&frame, sizeof(frame));
	end_ms = monotonic_ms() + PATIENCE_MS;
	while (!status_number("counts.shedDropped"))
		assert_true(monotonic_ms() < end_ms);
	assert_int_equal(listed(OUTSIDE_BAD, "dropped"), 1);
}

static void nothing_left(void **state)
{
	struct bpf_objects objects;

	(void)state;
	start(SHED);
	shed(OUTSIDE_BAD, 600);
	assert_false(lets_in(OUTSIDE_BAD));
	bpf_objects_find(&objects);
	assert_int_equal(objects.link_count, 4);
	daemon_stop();
	assert_int_equal(daemon_remove(), 0);
	assert_true(access(stage.pins, F_OK));
	expect_no_bpf_objects(&objects);
	assert_true(lets_in(OUTSIDE_BAD));
}

static const struct promise promises[] = {
	{ "a source that is shed is dropped until it is let in, and no other", dropped, ONCE },
	{ "other ports are not looked at", other_ports, ONCE },
	{ "of IPv6 a source is a network", by_ipv6, ONCE },
	{ "the prefixes of sources are settings", prefixes, ONCE },
	{ "it ends by itself, with and without a daemon", time_is_over, ONCE },
	{ "a restarted daemon keeps who is shed", restart, ONCE },
	{ "exempt networks and own addresses are not shed, and let in by a reload", exempt, ONCE },
	{ "a reload puts it on and takes it off, whole or not at all", by_reload, ONCE },
	{ "no more sources are shed than is set", full, ONCE },
	{ "who collects refusals is shed, for longer each time", by_refusals, ONCE },
	{ "refusals count in a window of time", in_a_window, ONCE },
	{ "refusals of all kinds count", of_all_kinds, ONCE },
	{ "who is exempt may collect refusals", never_exempt, ONCE },
	{ "where it is off no refusals are counted", off, ONCE },
	{ "another's XDP program is left alone, and named", others_program, ONCE },
	{ "a network interface that is missing is named", missing, ONCE },
	{ "tagged frames are dropped, too", tagged, ONCE },
	{ "--remove leaves nothing of it", nothing_left, ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
