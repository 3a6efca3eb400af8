// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel side's tables, read and written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_handle.h"
#include "sockets.h"

static int put(struct bpf_map *map, const void *key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) ? -errno : 0;
}

static int drop(struct bpf_map *map, const void *key)
{
	return bpf_map_delete_elem(bpf_map__fd(map), key) && errno != ENOENT ? -errno : 0;
}

bool kernel_taken_over(const struct kernel *kernel)
{
	return kernel->taken_over;
}

bool kernel_enforcing(const struct kernel *kernel)
{
	for (size_t i = 0; i < KERNEL_LINKS; i++)
		if (!kernel->links[i])
			return false;
	return true;
}

const char *kernel_cgroup(const struct kernel *kernel)
{
	return kernel->cgroup;
}

uint32_t kernel_slots(const struct kernel *kernel)
{
	return kernel->slots;
}

uint32_t kernel_max_connections(const struct kernel *kernel)
{
	return kernel->max_connections;
}

struct key_usage *kernel_usage(struct kernel *kernel, uint32_t slot)
{
	return &kernel->usage[slot];
}

struct settings *kernel_settings(struct kernel *kernel)
{
	return kernel->settings;
}

int kernel_put_reply(struct kernel *kernel, enum reply reply, enum reply_connection connection,
		     const struct reply_template *template)
{
	__u32 index = reply * REPLY_CONNECTIONS + connection;

	return put(kernel->programs->maps.replies, &index, template);
}

static struct gate_key own_gate(const struct kernel *kernel, uint16_t port)
{
	return (struct gate_key){ .netns_cookie = kernel->netns_cookie, .port = port };
}

int kernel_get_gate(struct kernel *kernel, uint16_t port, struct gate *ret_gate)
{
	struct gate_key key = own_gate(kernel, port);

	return bpf_map_lookup_elem(bpf_map__fd(kernel->programs->maps.gates), &key, ret_gate)
		       ? -errno
		       : 0;
}

int kernel_put_gate(struct kernel *kernel, uint16_t port, const struct gate *gate)
{
	struct gate_key key = own_gate(kernel, port);
	int r = put(kernel->programs->maps.gates, &key, gate);

	if (!r)
		kernel_mark_port(kernel, port, true);
	return r;
}

int kernel_remove_gate(struct kernel *kernel, uint16_t port)
{
	struct gate_key key = own_gate(kernel, port);
	int r = drop(kernel->programs->maps.gates, &key);

	if (!r)
		kernel_mark_port(kernel, port, false);
	return r;
}

int kernel_each_gate(struct kernel *kernel,
		     int (*visit)(const struct gate_key *key, const struct gate *gate, bool own,
				  void *data),
		     void *data)
{
	int fd = bpf_map__fd(kernel->programs->maps.gates);
	struct gate_key key, *previous = NULL;
	struct gate gate;
	int r;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(fd, &key, &gate))
			continue;
		r = visit(&key, &gate, key.netns_cookie == kernel->netns_cookie, data);
		if (r)
			return r;
	}
	return 0;
}

int kernel_put_key(struct kernel *kernel, const struct key_policy *policy)
{
	return put(kernel->programs->maps.keys, &policy->digest, policy);
}

int kernel_remove_key(struct kernel *kernel, const struct key_digest *digest)
{
	return drop(kernel->programs->maps.keys, digest);
}

/* Keys read with one system call. */
#define KEYS_BATCH 4096

/*
 * Read all keys before the first is visited: visit may remove some, and a table that changes
 * cannot be walked. Only the daemon writes it.
 */
static int read_keys(struct kernel *kernel, struct key_policy **ret_keys, size_t *ret_count)
{
	int fd = bpf_map__fd(kernel->programs->maps.keys);
	size_t count = 0, room = (size_t)kernel->slots + KEYS_BATCH;
	struct key_digest *digests = calloc(KEYS_BATCH, sizeof(*digests));
	struct key_policy *keys = NULL;
	__u32 position = 0, got;
	bool first = true, last;
	int r = -ENOMEM;

	/* Room for all slots is only address space until it is written. */
	keys = calloc(room, sizeof(*keys));
	if (!digests || !keys)
		goto out;
	do {
		got = KEYS_BATCH;
		if (count + got > room) {
			r = -E2BIG;
			goto out;
		}
		r = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, digests,
					 keys + count, &got, NULL);
		last = r && errno == ENOENT;
		if (r && !last) {
			r = -errno;
			goto out;
		}
		count += got;
		first = false;
	} while (!last);
	*ret_keys = keys;
	*ret_count = count;
	keys = NULL;
	r = 0;
out:
	free(keys);
	free(digests);
	return r;
}

int kernel_each_key(struct kernel *kernel,
		    int (*visit)(const struct key_policy *policy, void *data), void *data)
{
	struct key_policy *keys = NULL;
	size_t count = 0;
	int r = read_keys(kernel, &keys, &count);

	if (r)
		return r;
	for (size_t i = 0; !r && i < count; i++)
		r = visit(&keys[i], data);
	free(keys);
	return r;
}

int kernel_read_open(struct kernel *kernel, uint64_t *ret_open)
{
	struct enrolment enrolment;
	__u32 zero = 0;
	int fd = bpf_map__fd(kernel->programs->maps.enrolment);

	if (bpf_map_lookup_elem(fd, &zero, &enrolment))
		return -errno;
	*ret_open = enrolment.open;
	return 0;
}

int kernel_add_to_counter(struct kernel *kernel, enum counter counter, uint64_t count)
{
	int fd = bpf_map__fd(kernel->programs->maps.counters);
	__u64 *values = calloc(kernel->processors, sizeof(*values));
	__u32 index = counter;
	int r = 0;

	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &index, values))
		r = -errno;
	values[0] += count;
	if (!r && bpf_map_update_elem(fd, &index, values, BPF_EXIST))
		r = -errno;
	free(values);
	return r;
}

int kernel_reset_ungated(struct kernel *kernel, uint16_t port)
{
	int count = sockets_reset_ungated(port, bpf_map__fd(kernel->programs->maps.marks));
	int r = count > 0 ? kernel_add_to_counter(kernel, COUNTER_UNGATED_RESET, count) : 0;

	return r ? r : count;
}

int kernel_read_counters(struct kernel *kernel, uint64_t ret_counters[COUNTER_COUNT])
{
	int fd = bpf_map__fd(kernel->programs->maps.counters);
	__u64 *values = calloc(kernel->processors, sizeof(*values));
	int r = 0;

	if (!values)
		return -ENOMEM;
	memset(ret_counters, 0, sizeof(*ret_counters) * COUNTER_COUNT);
	for (__u32 i = 0; !r && i < COUNTER_COUNT; i++) {
		if (bpf_map_lookup_elem(fd, &i, values))
			r = -errno;
		for (int cpu = 0; !r && cpu < kernel->processors; cpu++)
			ret_counters[i] += values[cpu];
	}
	free(values);
	return r;
}
