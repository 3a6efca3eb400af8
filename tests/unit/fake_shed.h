/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fake_gates.h leaves out of a kernel side: the shed, all in `fake_shed`. */
#ifndef SLUICE_TEST_FAKE_SHED_H
#define SLUICE_TEST_FAKE_SHED_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel.h"

#define FAKE_SHED_ROOM 16

static struct {
	int failure;	   /* where not 0, what these functions return */
	char missing[16];  /* a network interface that there is not */
	size_t interfaces; /* that are watched */
	uint64_t ticks;	   /* now */
	struct shed_policy policy;
	struct shed_source rows[FAKE_SHED_ROOM];
	size_t count;
	struct network exempt[EXEMPT_MAX];
	size_t exempt_count;
	uint64_t added[COUNTER_COUNT];
} fake_shed;

int kernel_put_shed_interfaces(struct kernel *kernel, const char names[][IF_NAMESIZE], size_t count,
			       char *why, size_t why_size)
{
	(void)kernel;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], fake_shed.missing)) {
			snprintf(why, why_size, "There is no network interface %s.", names[i]);
			return -ENODEV;
		}
	fake_shed.interfaces = count;
	return 0;
}

uint64_t kernel_ticks(const struct kernel *kernel)
{
	(void)kernel;
	return fake_shed.ticks;
}

uint64_t kernel_tick_ns(const struct kernel *kernel)
{
	(void)kernel;
	return 4000000;
}

static inline struct shed_source *fake_shed_find(const struct source *source)
{
	for (size_t i = 0; i < fake_shed.count; i++)
		if (!memcmp(&fake_shed.rows[i].source, source, sizeof(*source)))
			return &fake_shed.rows[i];
	return NULL;
}

int kernel_get_shed(struct kernel *kernel, const struct source *source,
		    struct shed_source *ret_shed)
{
	const struct shed_source *row = fake_shed_find(source);

	(void)kernel;
	if (fake_shed.failure || !row)
		return fake_shed.failure ? fake_shed.failure : -ENOENT;
	*ret_shed = *row;
	return 0;
}

int kernel_put_shed(struct kernel *kernel, const struct shed_source *shed)
{
	struct shed_source *row = fake_shed_find(&shed->source);

	(void)kernel;
	if (fake_shed.failure)
		return fake_shed.failure;
	if (!row && fake_shed.count == FAKE_SHED_ROOM)
		return -E2BIG;
	if (!row)
		row = &fake_shed.rows[fake_shed.count++];
	*row = *shed;
	return 0;
}

int kernel_remove_shed(struct kernel *kernel, const struct source *source)
{
	struct shed_source *row = fake_shed_find(source);

	(void)kernel;
	if (fake_shed.failure || !row)
		return fake_shed.failure ? fake_shed.failure : -ENOENT;
	*row = fake_shed.rows[--fake_shed.count];
	return 0;
}

int kernel_each_shed(struct kernel *kernel,
		     int (*visit)(const struct shed_source *shed, void *data), void *data)
{
	struct shed_source rows[FAKE_SHED_ROOM];
	size_t count = fake_shed.count;
	int r = fake_shed.failure;

	(void)kernel;
	memcpy(rows, fake_shed.rows, sizeof(rows));
	for (size_t i = 0; !r && i < count; i++)
		r = visit(&rows[i], data);
	return r;
}

int kernel_put_shed_policy(struct kernel *kernel, const struct shed_policy *policy)
{
	(void)kernel;
	if (!fake_shed.failure)
		fake_shed.policy = *policy;
	return fake_shed.failure;
}

int kernel_watch_offenders(struct kernel *kernel,
			   void (*tell)(const struct offender *offender, void *data), void *data,
			   int *ret_fd)
{
	(void)kernel;
	(void)tell;
	(void)data;
	(void)ret_fd;
	return -ENOSYS;
}

int kernel_read_offenders(struct kernel *kernel)
{
	(void)kernel;
	return 0;
}

uint32_t kernel_shed_sources(const struct kernel *kernel)
{
	(void)kernel;
	return FAKE_SHED_ROOM;
}

int kernel_put_exempt(struct kernel *kernel, const struct network *networks, size_t count)
{
	(void)kernel;
	if (fake_shed.failure)
		return fake_shed.failure;
	memcpy(fake_shed.exempt, networks, count * sizeof(*networks));
	fake_shed.exempt_count = count;
	return 0;
}

int kernel_add_to_counter(struct kernel *kernel, enum counter counter, uint64_t count)
{
	(void)kernel;
	fake_shed.added[counter] += count;
	return fake_shed.failure;
}

#endif
