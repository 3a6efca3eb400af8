// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the programs say of connections whose port is draining, and waiting for programs. */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel_handle.h"
#include "util.h"

#define RECORDS 128 /* read at once */

void kernel_settle(void)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	/*
	 * It waits for an RCU grace period; with nohz_full it is not to be had. A program runs for
	 * microseconds.
	 */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&pause, NULL);
}

/* Hand on all records in a buffer. Returns how many bytes are left of one that is cut, or < 0. */
static ssize_t visit_all(char *buffer, size_t length,
			 int (*visit)(const struct drained *drained, void *data), void *data)
{
	struct drained drained;
	size_t at = 0;
	int r = 0;

	for (; !r && length - at >= sizeof(drained); at += sizeof(drained)) {
		memcpy(&drained, buffer + at, sizeof(drained));
		r = visit(&drained, data);
	}
	memmove(buffer, buffer + at, length - at);
	return r ? r : (ssize_t)(length - at);
}

static int read_records(int fd, int (*visit)(const struct drained *drained, void *data), void *data)
{
	char buffer[RECORDS * sizeof(struct drained)];
	ssize_t length, left = 0;

	for (;;) {
		length = read(fd, buffer + left, sizeof(buffer) - left);
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (length <= 0)
			return length ? -errno : 0;
		left = visit_all(buffer, left + length, visit, data);
		if (left < 0)
			return left;
	}
}

int kernel_each_drained(struct kernel *kernel,
			int (*visit)(const struct drained *drained, void *data), void *data)
{
	struct bpf_link *link =
		bpf_program__attach_iter(kernel->programs->progs.sluice_drain, NULL);
	_cleanup_close_ int fd = -1;
	int r;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	r = fd < 0 ? -errno : read_records(fd, visit, data);
	bpf_link__destroy(link);
	return r;
}
