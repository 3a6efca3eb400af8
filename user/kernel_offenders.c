// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who collects refusals, as the programs tell it. */
#include <errno.h>

#include "kernel_handle.h"

int kernel_put_shed_policy(struct kernel *kernel, const struct shed_policy *policy)
{
	int fd = bpf_map__fd(kernel->programs->maps.shed_policy);
	__u32 zero = 0;

	return bpf_map_update_elem(fd, &zero, policy, BPF_ANY) ? -errno : 0;
}

static int on_record(void *data, void *record, size_t size)
{
	struct kernel *kernel = data;

	if (size >= sizeof(struct offender))
		kernel->tell_offender(record, kernel->tell_data);
	return 0;
}

int kernel_watch_offenders(struct kernel *kernel,
			   void (*tell)(const struct offender *offender, void *data), void *data,
			   int *ret_fd)
{
	int fd = bpf_map__fd(kernel->programs->maps.offenders);

	kernel->tell_offender = tell;
	kernel->tell_data = data;
	kernel->offenders = ring_buffer__new(fd, on_record, kernel, NULL);
	if (!kernel->offenders)
		return -errno;
	*ret_fd = ring_buffer__epoll_fd(kernel->offenders);
	return 0;
}

int kernel_read_offenders(struct kernel *kernel)
{
	int r = ring_buffer__consume(kernel->offenders);

	return r < 0 ? r : 0;
}
