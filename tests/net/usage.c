// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the gate counted, read from its pinned maps. */
#include "harness.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"

static const struct key_usage *usage;
static size_t usage_size;
static int keys_fd = -1;

static int open_map(const char *name)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", stage.pins, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

void usage_open(void)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = open_map("usage");

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
	usage_size = (size_t)info.max_entries * sizeof(*usage);
	usage = mmap(NULL, usage_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(usage != MAP_FAILED);
	close(fd);
	keys_fd = open_map("keys");
}

void usage_close(void)
{
	munmap((void *)usage, usage_size);
	close(keys_fd);
	keys_fd = -1;
}

uint32_t usage_slot(const struct key *key)
{
	struct key_digest digest, *last = NULL;
	struct key_policy policy;
	char start[64];

	snprintf(start, sizeof(start), "X-Key-Id: %s;", key->id);
	while (!bpf_map_get_next_key(keys_fd, last, &digest)) {
		last = &digest;
		if (!bpf_map_lookup_elem(keys_fd, &digest, &policy) &&
		    !strncmp(policy.identity, start, strlen(start)))
			return policy.slot;
	}
	fail_msg("the gate has no key %s", key->id);
	return 0;
}

uint64_t usage_admitted(uint32_t slot)
{
	return __atomic_load_n(&usage[slot].admitted, __ATOMIC_SEQ_CST);
}

uint64_t usage_refused(uint32_t slot)
{
	return __atomic_load_n(&usage[slot].refused, __ATOMIC_SEQ_CST);
}
