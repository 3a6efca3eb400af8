/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe_bench.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "clock.h"
#include "kernel_handle.h"
#include "netns.h"
#include "relay_sockets.h"
#include "util.h"

/* Room in the bench's tables: one connection at a time, and those before it may still be ending. */
#define CONNECTIONS 64

/* Limits of the key that is in force: more than all probes use up. */
#define PER_MINUTE KEY_PER_MINUTE_MAX
#define PER_DAY	   KEY_PER_DAY_MAX

/* --- programs and tables --------------------------------------------------------------------- */

static int load(struct bench *bench)
{
	struct sluice_bpf *programs = sluice_bpf__open();
	int r;

	if (!programs)
		return -errno;
	bench->programs = programs;
	bpf_map__set_max_entries(programs->maps.conns, CONNECTIONS);
	bpf_map__set_max_entries(programs->maps.socks, CONNECTIONS);
	programs->rodata->max_connections = CONNECTIONS;
	r = sluice_bpf__load(programs);
	return r ? r : kernel_place_programs(programs, false);
}

static int put(struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

static int put_settings(struct bench *bench)
{
	struct settings settings = {
		.key_word = KEY_WORD_DEFAULT,
		.abi = SLUICE_ABI,
	};
	uint64_t offset_ns;
	__u32 zero = 0;
	int r = clock_tai_offset(&offset_ns);

	settings.tai_offset_ns = offset_ns;
	return r ? r : put(bench->programs->maps.settings, &zero, &settings);
}

static int put_replies(struct bench *bench)
{
	int r = replies_render(&bench->replies);

	for (__u32 i = 0; !r && i < ARRAY_SIZE(bench->replies.templates); i++)
		r = put(bench->programs->maps.replies, &i, &bench->replies.templates[i]);
	return r;
}

/* A key of the bench's own, with a pepper of zeros: it opens nothing but the bench's gate. */
static int put_key(struct bench *bench)
{
	static const uint8_t pepper[PEPPER_SIZE];
	struct key_policy policy = { .per_minute = PER_MINUTE, .per_day = PER_DAY };
	struct key_record record = { .account = "probe" };

	key_id_make(record.id);
	key_identity(&record, bench->identity);
	key_make(KEY_WORD_DEFAULT, bench->key);
	key_hash(pepper, bench->key, &policy.digest);
	memcpy(policy.identity, bench->identity, IDENTITY_SIZE);
	return put(bench->programs->maps.keys, &policy.digest, &policy);
}

int bench_put_gate(struct bench *bench)
{
	const struct gate gate = { .head_limit = HEAD_LIMIT_MAX };

	return put(bench->programs->maps.gates, &bench->gate, &gate);
}

int bench_drop_gate(struct bench *bench)
{
	return bpf_map_delete_elem(bpf_map__fd(bench->programs->maps.gates), &bench->gate) ? -errno
											   : 0;
}

uint64_t bench_count(const struct bench *bench, enum counter counter)
{
	int processors = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *values = calloc(processors, sizeof(*values));
	__u32 index = counter;
	uint64_t sum = 0;

	if (!values ||
	    bpf_map_lookup_elem(bpf_map__fd(bench->programs->maps.counters), &index, values))
		return 0;
	for (int i = 0; i < processors; i++)
		sum += values[i];
	return sum;
}

/* --- the listening socket -------------------------------------------------------------------- */

/*
 * Listen for both families at all addresses of loopback: nobody else can listen on, or connect from,
 * that port then, and nobody outside reaches it. Zeros are any address of either family.
 */
static int listen_as(struct bench *bench, sa_family_t family)
{
	struct sockaddr_in6 address = { .sin6_family = family };
	socklen_t length = sizeof(address);
	uint64_t cookie = 0;
	int r, no = 0;

	bench->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bench->listener < 0)
		return -errno;
	if (family == AF_INET6)
		setsockopt(bench->listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (setsockopt(bench->listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) ||
	    bind(bench->listener, (const struct sockaddr *)&address, length) ||
	    listen(bench->listener, 1) ||
	    getsockname(bench->listener, (struct sockaddr *)&address, &length))
		return -errno;
	r = netns_cookie(&cookie);
	bench->gate = (struct gate_key){ .netns_cookie = cookie, .port = ntohs(address.sin6_port) };
	return r;
}

static int listen_on_loopback(struct bench *bench)
{
	int r = listen_as(bench, AF_INET6);

	if (r != -EAFNOSUPPORT && r != -EADDRNOTAVAIL)
		return r;
	if (bench->listener >= 0)
		close(bench->listener);
	return listen_as(bench, AF_INET);
}

static int attach(struct bench *bench)
{
	_cleanup_close_ int cgroup = -1;
	int r = cgroup_open_own(&cgroup);

	if (r)
		return r;
	bench->enrol = bpf_program__attach_cgroup(bench->programs->progs.sluice_enrol, cgroup);
	if (!bench->enrol)
		return -errno;
	bench->guard = bpf_program__attach_cgroup(bench->programs->progs.sluice_guard, cgroup);
	return bench->guard ? 0 : -errno;
}

/* --- what stands in for the relay -------------------------------------------------------------- */

enum injected bench_inject(struct bench *bench, const struct injection *injection,
			   const void *bytes, size_t length)
{
	*bench->injecting = (struct injecting){ .result = INJECTED_GONE };
	if (bytes)
		bench->injecting->bytes = *injection;
	if (send(bench->injector[0], bytes ? bytes : injection, bytes ? length : sizeof(*injection),
		 MSG_DONTWAIT) < 0)
		return INJECTED_GONE;
	if (bench->injecting->result != INJECTED_PASS)
		return bench->injecting->result;
	return relay_deliver(bench->injector[1], bench->deliverer[0], length) ? INJECTED_LOST
									      : INJECTED_TAKEN;
}

static void reply(struct bench *bench, const struct handoff *record)
{
	uint8_t bytes[REPLY_SIZE];
	size_t length =
		replies_write(&bench->replies, (const struct owed *)(record + 1), now_ms(), bytes);

	relay_reply(bench->injecting, bench->deliverer[0], record, bytes, length);
}

static int on_record(void *data, void *bytes, size_t size)
{
	const struct handoff *record = bytes;
	struct bench *bench = data;

	if (record->kind == HANDOFF_REPLY)
		reply(bench, record);
	if (record->kind == HANDOFF_ANSWER)
		bench_inject(bench,
			     &(struct injection){ .cookie = record->cookie, .kind = INJECT_ANSWER },
			     NULL, 0);
	if (record->kind != HANDOFF_BYTES ||
	    record->length > sizeof(bench->kept) - bench->kept_length)
		return 0;
	memcpy(bench->kept + bench->kept_length, record + 1, record->length);
	bench->kept_length += record->length;
	return 0;
}

bool bench_relay(struct bench *bench)
{
	return ring_buffer__poll(bench->handoff, BENCH_PATIENCE_MS) > 0;
}

static int put_socket(struct bpf_map *map, int fd)
{
	__u64 zero = 0, value = fd;

	return put(map, &zero, &value);
}

/* The sink is broken by the probe that is about it. */
static int open_relay(struct bench *bench)
{
	int injecting = bpf_map__fd(bench->programs->maps.injecting);
	void *element;
	int r;

	element = mmap(NULL, sizeof(*bench->injecting), PROT_READ | PROT_WRITE, MAP_SHARED,
		       injecting, 0);
	if (element == MAP_FAILED)
		return -errno;
	bench->injecting = element;
	bench->handoff = ring_buffer__new(bpf_map__fd(bench->programs->maps.handoff), on_record,
					  bench, NULL);
	if (!bench->handoff || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, bench->injector))
		return -errno;
	r = put_socket(bench->programs->maps.injectors, bench->injector[1]);
	if (!r)
		r = relay_socket_pair(bench->deliverer);
	if (!r)
		r = put_socket(bench->programs->maps.deliverers, bench->deliverer[0]);
	if (!r)
		r = relay_socket_pair(bench->sink);
	if (!r)
		r = put_socket(bench->programs->maps.sink, bench->sink[0]);
	return r || !shutdown(bench->sink[0], SHUT_WR) ? r : -errno;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int set_up(struct bench *bench)
{
	int r = load(bench);

	if (!r)
		r = put_settings(bench);
	if (!r)
		r = put_replies(bench);
	if (!r)
		r = put_key(bench);
	if (!r)
		r = listen_on_loopback(bench);
	if (!r)
		r = bench_put_gate(bench);
	if (!r)
		r = open_relay(bench);
	return r ? r : attach(bench);
}

int bench_open(struct bench **ret_bench, char *why, size_t why_size)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int r = -ENOMEM;

	if (bench) {
		bench->injector[0] = bench->injector[1] = bench->sink[0] = bench->sink[1] = -1;
		bench->deliverer[0] = bench->deliverer[1] = -1;
		bench->listener = bench->client = bench->server = -1;
		r = set_up(bench);
	}
	if (!r) {
		*ret_bench = bench;
		return 0;
	}
	if (r == -ENETDOWN)
		snprintf(why, why_size,
			 "Loopback (lo) is down in this network namespace, and the gate needs it. "
			 "Try: ip link set lo up");
	else
		snprintf(why, why_size, "The probes of the kernel cannot be made: %s.",
			 strerror(-r));
	bench_close(bench);
	return r;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Sockets first: a table that goes while sockets are in it loses what they have not read. */
void bench_close(struct bench *bench)
{
	if (!bench)
		return;
	bench_disconnect(bench);
	close_one(bench->listener);
	for (int i = 0; i < 2; i++) {
		close_one(bench->injector[i]);
		close_one(bench->sink[i]);
		close_one(bench->deliverer[i]);
	}
	ring_buffer__free(bench->handoff);
	if (bench->injecting)
		munmap(bench->injecting, sizeof(*bench->injecting));
	bpf_link__destroy(bench->enrol);
	bpf_link__destroy(bench->guard);
	sluice_bpf__destroy(bench->programs);
	explicit_bzero(bench, sizeof(*bench));
	free(bench);
}
