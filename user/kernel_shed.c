// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the shed goes by: sources in their slots, networks that are exempt, ports. Sources and ports are in
 * memory that is shared with the program, which reads them while they change.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel_handle.h"
#include "network.h"
#include "shed_slot.h"
#include "util.h"

#define BITS_MIN 5

/* --- clock ---------------------------------------------------------------------------------------- */

/* The kernel makes its ticks from the monotonic clock, and tells how long they are. */
static uint64_t ticks_of_clock(const struct kernel *kernel)
{
	return monotonic_us() * 1000 / kernel->tick_ns;
}

/* The program counts from another beginning. It writes its context in place. */
static int open_clock(struct kernel *kernel)
{
	int program = bpf_program__fd(kernel->programs->progs.sluice_ticks);
	struct ticks now = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &now, .ctx_size_in = sizeof(now));
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || !tick.tv_nsec)
		return -ENOTSUP;
	kernel->tick_ns = tick.tv_nsec;
	if (bpf_prog_test_run_opts(program, &options))
		return -errno;
	kernel->first_tick = now.now - ticks_of_clock(kernel);
	return 0;
}

uint64_t kernel_ticks(const struct kernel *kernel)
{
	return kernel->first_tick + ticks_of_clock(kernel);
}

uint64_t kernel_tick_ns(const struct kernel *kernel)
{
	return kernel->tick_ns;
}

/* --- life ----------------------------------------------------------------------------------------- */

uint32_t kernel_shed_slots(uint32_t max_sources)
{
	uint32_t bits = BITS_MIN;

	while ((UINT32_C(1) << bits) < 2 * max_sources)
		bits++;
	return (UINT32_C(1) << bits) + SHED_PROBES;
}

/* By what a former daemon has laid the table out. Returns false where there was none. */
static bool read_former(const struct kernel *kernel, struct shed_table *ret_table)
{
	const struct bpf_map *map = kernel->programs->maps.shed_table;
	_cleanup_close_ int fd = bpf_obj_get(bpf_map__pin_path(map));
	__u32 zero = 0;

	return fd >= 0 && !bpf_map_lookup_elem(fd, &zero, ret_table) && ret_table->max_sources;
}

void kernel_prepare_shed(struct kernel *kernel, const struct kernel_options *options)
{
	struct sluice_bpf *programs = kernel->programs;
	uint32_t slots = bpf_map__max_entries(programs->maps.shed) - SHED_PROBES;
	struct shed_table *layout = &kernel->shed_layout;
	uint32_t mask[4];

	if (!read_former(kernel, layout)) {
		randombytes_buf(layout->seeds, sizeof(layout->seeds));
		layout->max_sources = options->shed_sources;
	}
	kernel->shed_bits = __builtin_ctz(slots);
	programs->rodata->shed_bits = kernel->shed_bits;
	memcpy((void *)programs->rodata->shed_seeds, layout->seeds, sizeof(layout->seeds));
	memset(mask, 0xff, sizeof(mask));
	network_cut(mask, NETWORK_BITS - NETWORK_IPV4_BITS + options->ipv4_prefix);
	programs->rodata->ipv4_mask = mask[3];
	memset(mask, 0xff, sizeof(mask));
	network_cut(mask, options->ipv6_prefix);
	memcpy((void *)programs->rodata->ipv6_mask, mask, sizeof(mask));
}

static uint32_t slots_of(const struct kernel *kernel)
{
	return (UINT32_C(1) << kernel->shed_bits) + SHED_PROBES;
}

/* --- sources -------------------------------------------------------------------------------------- */

static struct shed_source *first_slot(const struct kernel *kernel, const struct source *source)
{
	return &kernel->shed[shed_slot(source, kernel->shed_layout.seeds, kernel->shed_bits)];
}

static struct shed_source *find(const struct kernel *kernel, const struct source *source)
{
	struct shed_source *slot = first_slot(kernel, source);

	for (int i = 0; i < SHED_PROBES && slot[i].until; i++)
		if (!memcmp(&slot[i].source, source, sizeof(*source)))
			return &slot[i];
	return NULL;
}

static struct shed_source *find_free(const struct kernel *kernel, const struct source *source)
{
	struct shed_source *slot = first_slot(kernel, source);

	for (int i = 0; i < SHED_PROBES; i++)
		if (!slot[i].until)
			return &slot[i];
	return NULL;
}

/* What has no time is not read: it gets its time last, and loses it first. */
static void set_until(struct shed_source *slot, uint64_t until)
{
	__atomic_store_n(&slot->until, until, __ATOMIC_SEQ_CST);
}

int kernel_get_shed(struct kernel *kernel, const struct source *source,
		    struct shed_source *ret_shed)
{
	const struct shed_source *slot = find(kernel, source);

	if (!slot)
		return -ENOENT;
	*ret_shed = *slot;
	return 0;
}

int kernel_put_shed(struct kernel *kernel, const struct shed_source *shed)
{
	struct shed_source *slot = find(kernel, &shed->source);
	bool is_new = !slot;

	if (is_new && kernel->shed_count >= kernel->shed_layout.max_sources)
		return -E2BIG;
	if (is_new)
		slot = find_free(kernel, &shed->source);
	if (!slot)
		return -E2BIG;
	if (is_new) {
		slot->source = shed->source;
		slot->dropped = shed->dropped;
		kernel->shed_count++;
	}
	slot->times = shed->times;
	slot->seconds = shed->seconds;
	set_until(slot, shed->until);
	return 0;
}

/*
 * Free a slot, and move up into it what is behind it and belongs before: sources are looked for up to the
 * first slot that is free.
 */
static void free_slot(struct kernel *kernel, struct shed_source *slot)
{
	struct shed_source *end = kernel->shed + slots_of(kernel);

	set_until(slot, 0);
	for (struct shed_source *at = slot + 1; at < end && at->until; at++) {
		uint64_t until = at->until;

		if (first_slot(kernel, &at->source) > slot)
			continue;
		slot->source = at->source;
		slot->dropped = at->dropped;
		slot->times = at->times;
		slot->seconds = at->seconds;
		set_until(slot, until);
		set_until(at, 0);
		slot = at;
	}
}

int kernel_remove_shed(struct kernel *kernel, const struct source *source)
{
	struct shed_source *slot = find(kernel, source);

	if (!slot)
		return -ENOENT;
	free_slot(kernel, slot);
	kernel->shed_count--;
	return 0;
}

uint32_t kernel_shed_sources(const struct kernel *kernel)
{
	return kernel->shed_layout.max_sources;
}

/* All are read before the first is visited: who is taken out moves others. */
int kernel_each_shed(struct kernel *kernel,
		     int (*visit)(const struct shed_source *shed, void *data), void *data)
{
	_cleanup_free_ struct shed_source *all = calloc(kernel->shed_count + 1, sizeof(*all));
	size_t count = 0;
	int r = all ? 0 : -ENOMEM;

	for (uint32_t i = 0; !r && count < kernel->shed_count && i < slots_of(kernel); i++)
		if (kernel->shed[i].until)
			all[count++] = kernel->shed[i];
	for (size_t i = 0; !r && i < count; i++)
		r = visit(&all[i], data);
	return r;
}

/* --- taking over ---------------------------------------------------------------------------------- */

/*
 * Put all sources into their slots anew. A daemon that was killed while it moved one may have left it
 * twice, or where it is not found.
 */
int kernel_mend_shed(struct kernel *kernel)
{
	uint32_t slots = slots_of(kernel), count = 0;
	_cleanup_free_ struct shed_source *all = calloc(slots, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < slots; i++) {
		if (!kernel->shed[i].until)
			continue;
		all[count++] = kernel->shed[i];
		set_until(&kernel->shed[i], 0);
	}
	kernel->shed_count = 0;
	for (uint32_t i = 0; i < count; i++)
		kernel_put_shed(kernel, &all[i]);
	return 0;
}

int kernel_open_shed(struct kernel *kernel)
{
	int r = open_clock(kernel);

	return r ? r : kernel_mark_ports(kernel);
}

int kernel_lay_out_shed(struct kernel *kernel, uint32_t ipv4_prefix, uint32_t ipv6_prefix)
{
	struct shed_table *layout = &kernel->shed_layout;
	bool others = layout->ipv4_prefix != ipv4_prefix || layout->ipv6_prefix != ipv6_prefix;
	__u32 zero = 0;

	layout->ipv4_prefix = ipv4_prefix;
	layout->ipv6_prefix = ipv6_prefix;
	if (bpf_map_update_elem(bpf_map__fd(kernel->programs->maps.shed_table), &zero, layout,
				BPF_ANY))
		return -errno;
	/* By other prefixes what is in there are no sources. */
	if (kernel->taken_over && others)
		memset(kernel->shed, 0, slots_of(kernel) * sizeof(*kernel->shed));
	return kernel->taken_over && !others ? kernel_mend_shed(kernel) : 0;
}

/* --- networks ------------------------------------------------------------------------------------- */

static bool has(const struct network *networks, size_t count, const struct network *network)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&networks[i], network, sizeof(*network)))
			return true;
	return false;
}

/* Those that are there, EXEMPT_MAX at most. */
static size_t read_exempt(int fd, struct network ret_networks[EXEMPT_MAX])
{
	size_t count = 0;

	while (count < EXEMPT_MAX &&
	       !bpf_map_get_next_key(fd, count ? &ret_networks[count - 1] : NULL,
				     &ret_networks[count]))
		count++;
	return count;
}

int kernel_put_exempt(struct kernel *kernel, const struct network *networks, size_t count)
{
	int fd = bpf_map__fd(kernel->programs->maps.exempt);
	struct network former[EXEMPT_MAX];
	size_t former_count = read_exempt(fd, former);
	const __u32 yes = 1;

	for (size_t i = 0; i < former_count; i++)
		if (!has(networks, count, &former[i]) && bpf_map_delete_elem(fd, &former[i]) &&
		    errno != ENOENT)
			return -errno;
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, &networks[i], &yes, BPF_ANY))
			return -errno;
	return 0;
}

/* --- ports ---------------------------------------------------------------------------------------- */

static uint64_t port_bit(uint32_t port)
{
	return UINT64_C(1) << port % PORT_WORD_BITS;
}

void kernel_mark_port(struct kernel *kernel, uint16_t port, bool gated)
{
	uint64_t *word = &kernel->shed_ports[port / PORT_WORD_BITS];

	if (gated)
		__atomic_fetch_or(word, port_bit(port), __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(word, ~port_bit(port), __ATOMIC_SEQ_CST);
}

static int note_port(const struct gate_key *key, const struct gate *gate, bool own, void *data)
{
	uint64_t *words = data;

	if (own)
		words[key->port / PORT_WORD_BITS] |= port_bit(key->port);
	return 0;
}

int kernel_mark_ports(struct kernel *kernel)
{
	uint64_t words[PORT_WORDS] = { 0 };
	int r = kernel_each_gate(kernel, note_port, words);

	for (size_t i = 0; !r && i < PORT_WORDS; i++)
		__atomic_store_n(&kernel->shed_ports[i], words[i], __ATOMIC_SEQ_CST);
	return r;
}
