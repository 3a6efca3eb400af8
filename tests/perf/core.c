// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a decision takes, part by part, in the kernel (BPF_PROG_TEST_RUN): the best of some rounds, since
 * what else the machine does only adds to it.
 *
 *	core
 *
 * Needs root. Prints a table of nanoseconds a run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "decide.h"
#include "response.h"
#include "shed_slot.h"

#include "core.skel.h"
#include "core_keys.h"
#include "keys.h"
#include "util.h"

#define ROUNDS	  20
#define REPEATS	  20000
#define FEW	  1000
#define MANY	  1000000
#define BATCH	  10000
#define SHED_PORT 8080
#define SHED_FEW  1000
#define SHED_MANY 65536
#define SHED_BITS 17   /* of slots: twice as many as sources */
#define HEAD_MAX  3500 /* bytes; a run takes no packet of more than a page */

#define KEY "gx_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "core: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* --- heads ------------------------------------------------------------------------------------- */

static const char head_begin[] = "GET /api/v1/models?limit=20&after=model_0001 HTTP/1.1\r\n"
				 "Host: api.example.com\r\n"
				 "Authorization: Bearer " KEY "\r\n";

/* Fields as browsers send them, until the head is long enough. */
static const char *const fields[] = {
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n",
	"Accept: application/json, text/plain;q=0.9, */*;q=0.8\r\n",
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n",
	"Accept-Encoding: gzip, deflate, br, zstd\r\n",
	"Connection: keep-alive\r\n",
	"Sec-Fetch-Dest: empty\r\n",
	"Sec-Fetch-Mode: cors\r\n",
	"Cache-Control: no-cache\r\n",
};

static const char answer[] = "HTTP/1.1 200 OK\r\n"
			     "Server: nginx/1.22.1\r\n"
			     "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\n"
			     "Content-Type: application/json\r\n"
			     "Content-Length: 100\r\n"
			     "Connection: keep-alive\r\n"
			     "\r\n";

static void add(char *head, const char *text, const char *value, size_t value_length)
{
	size_t length = strlen(head);

	snprintf(head + length, HEAD_MAX + 1 - length, "%s%.*s", text, (int)value_length, value);
}

/* Write a head of so many bytes, the last field of which is a cookie where it is a long one. */
static void make_head(char head[HEAD_MAX + 1], size_t size)
{
	static char cookie[HEAD_MAX];
	size_t left;

	memset(cookie, 'c', sizeof(cookie));
	head[0] = '\0';
	add(head, head_begin, "", 0);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(head) + strlen(fields[i]) + 16 <= size)
			add(head, fields[i], "", 0);
	left = size - strlen(head);
	if (left >= 16)
		add(head, "Cookie: ", cookie, left - 12);
	add(head, left >= 16 ? "\r\n\r\n" : "\r\n", "", 0);
}

/* --- keys -------------------------------------------------------------------------------------- */

/* Put keys in force from one slot on, up to another. */
static void put_keys(struct core_bpf *core, __u32 from, __u32 to)
{
	static struct key_digest digests[BATCH];
	static struct key_policy policies[BATCH];
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	for (__u32 count; from < to; from += count) {
		count = to - from < BATCH ? to - from : BATCH;
		for (__u32 i = 0; i < count; i++) {
			digests[i] = core_key_digest(from + i);
			policies[i] = (struct key_policy){ .digest = digests[i],
							   .slot = from + i,
							   .version = 1,
							   .per_minute = KEY_PER_MINUTE_MAX,
							   .per_day = KEY_PER_DAY_MAX };
		}
		if (bpf_map_update_batch(bpf_map__fd(core->maps.keys), digests, policies, &count,
					 &options))
			fail("the table cannot be filled");
	}
	core->bss->key_count = to;
}

static struct core_bpf *load(void)
{
	struct core_bpf *core = core_bpf__open();
	struct settings settings = { .key_word = KEY_WORD_DEFAULT, .abi = SLUICE_ABI };
	__u32 zero = 0;

	if (!core)
		fail("the programs cannot be opened");
	bpf_map__set_max_entries(core->maps.keys, MANY);
	bpf_map__set_max_entries(core->maps.usage, MANY);
	bpf_map__set_max_entries(core->maps.shed, (1 << SHED_BITS) + SHED_PROBES);
	randombytes_buf(core->rodata->shed_seeds, sizeof(core->rodata->shed_seeds));
	core->rodata->shed_bits = SHED_BITS;
	core->rodata->ipv4_mask = UINT32_MAX;
	if (core_bpf__load(core))
		fail("the programs cannot be loaded");
	randombytes_buf(settings.pepper, sizeof(settings.pepper));
	if (bpf_map_update_elem(bpf_map__fd(core->maps.settings), &zero, &settings, BPF_ANY))
		fail("the settings cannot be written");
	memcpy(core->bss->token.text, KEY, strlen(KEY));
	core->bss->token_length = strlen(KEY);
	put_keys(core, 0, FEW);
	return core;
}

/* --- the table --------------------------------------------------------------------------------- */

/* Time a program on a packet, which must have it return something. Returns nanoseconds a run. */
static unsigned int measure_bytes(const char *name, const struct bpf_program *program,
				  const void *packet, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size,
		    .repeat = REPEATS);
	unsigned int best = ~0u;

	for (int round = 0; round < ROUNDS; round++) {
		if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) || !options.retval)
			fail(name);
		best = options.duration < best ? options.duration : best;
	}
	printf("| %-44s | %6u |\n", name, best);
	return best;
}

static unsigned int measure(const char *name, const struct bpf_program *program, const char *packet)
{
	return measure_bytes(name, program, packet, strlen(packet));
}

static void measure_heads(struct core_bpf *core)
{
	static const size_t sizes[] = { 200, 500, 1024, HEAD_MAX };
	char head[HEAD_MAX + 1], name[64];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_head(head, sizes[i]);
		snprintf(name, sizeof(name), "request's head of %zu bytes", strlen(head));
		measure(name, core->progs.core_head, head);
		if (core->bss->head.state != HTTP_OVER || !core->bss->head.credential.length)
			fail("a head is not read to its end");
	}
}

/* --- the shed ------------------------------------------------------------------------------------ */

/* A handshake's first packet, of the last source that is shed. */
struct shed_packet {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

/* Shed sources 10.0.0.0 and so on, up to so many. */
static void put_sources(struct core_bpf *core, __u32 from, __u32 to)
{
	struct shed_source there, row = { .source.words[2] = htonl(0xffff), .until = UINT64_MAX };
	int fd = bpf_map__fd(core->maps.shed);

	for (; from < to; from++) {
		__u32 slot;

		row.source.words[3] = htonl(0x0a000000 + from);
		slot = shed_slot(&row.source, core->rodata->shed_seeds, SHED_BITS);
		while (!bpf_map_lookup_elem(fd, &slot, &there) && there.until)
			slot++;
		if (bpf_map_update_elem(fd, &slot, &row, BPF_ANY))
			fail("a source cannot be shed");
	}
}

static void put_port(struct core_bpf *core)
{
	__u32 index = SHED_PORT / PORT_WORD_BITS;
	__u64 word = UINT64_C(1) << SHED_PORT % PORT_WORD_BITS;

	if (bpf_map_update_elem(bpf_map__fd(core->maps.shed_ports), &index, &word, BPF_ANY))
		fail("a port cannot be protected");
}

static unsigned int measure_drop(struct core_bpf *core, const char *name, __u32 sources)
{
	const struct shed_packet packet = {
		.ethernet.h_proto = htons(ETH_P_IP),
		.ip = { .version = 4,
			.ihl = 5,
			.protocol = IPPROTO_TCP,
			.saddr = htonl(0x0a000000 + sources - 1) },
		.tcp = { .dest = htons(SHED_PORT), .doff = 5, .syn = 1 },
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = &packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(bpf_program__fd(core->progs.sluice_shed), &options) ||
	    options.retval != XDP_DROP)
		fail("the packet is not dropped");
	return measure_bytes(name, core->progs.sluice_shed, &packet, sizeof(packet));
}

static void measure_shed(struct core_bpf *core)
{
	const struct shed_packet any = { .ethernet.h_proto = htons(ETH_P_IP) };
	unsigned int alone, dropped;

	put_port(core);
	put_sources(core, 0, SHED_FEW);
	alone = measure_bytes("a program that drops all packets", core->progs.core_drop, &any,
			      sizeof(any));
	dropped = measure_drop(core, "shed: packet of one of 1,000 sources", SHED_FEW);
	put_sources(core, SHED_FEW, SHED_MANY);
	measure_drop(core, "shed: packet of one of 65,536 sources", SHED_MANY);
	printf("\nA dropped packet against nothing but dropping: %.2f, asked <= 2; %u ns, asked <= "
	       "40\n",
	       (double)dropped / alone, dropped);
}

int main(void)
{
	struct core_bpf *core;
	char head[HEAD_MAX + 1];
	unsigned int few, many;

	if (sodium_init() < 0)
		fail("libsodium");
	core = load();
	make_head(head, 500);
	printf("| %-44s | %6s |\n| %.44s | %.6s |\n", "part of a decision", "ns",
	       "--------------------------------------------", "------");
	measure_heads(core);
	measure("answer's head", core->progs.core_response, answer);
	measure("key's shape and digest", core->progs.core_digest, head);
	measure("the key of the request before, unchanged", core->progs.core_again, head);
	measure("look-up of a random key, of 1,000", core->progs.core_look_up, head);
	measure("windows, and the clock", core->progs.core_window, head);
	few = measure("all of it, head of 500 bytes, 1,000 keys", core->progs.core_decision, head);
	put_keys(core, FEW, MANY);
	measure("look-up of a random key, of 1,000,000", core->progs.core_look_up, head);
	many = measure("all of it, head of 500 bytes, 1,000,000 keys", core->progs.core_decision,
		       head);
	printf("\nA decision at 1,000,000 keys against 1,000: %.2f, asked <= 1.2\n",
	       (double)many / few);
	measure_shed(core);
	core_bpf__destroy(core);
	return EXIT_SUCCESS;
}
