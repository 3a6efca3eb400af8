/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* System calls that change folders, as steps of fault_vfs.h, in the place of the C library's. */
#ifndef SLUICE_TEST_FAULT_CALLS_H
#define SLUICE_TEST_FAULT_CALLS_H

#include <stdarg.h>
#include <sys/syscall.h>

#include "fault_vfs.h"

static char fault_trace[4096]; /* names of the calls since fault_watch() */

static inline void fault_watch(void)
{
	*fault_trace = '\0';
}

static inline long fault_call(const char *name, long number, ...)
{
	size_t length = strlen(fault_trace);
	va_list arguments;
	long a[5];

	snprintf(fault_trace + length, sizeof(fault_trace) - length, "%s%s", length ? " " : "",
		 name);
	if (fault_step()) {
		errno = faults.kind == FAULT_FULL ? ENOSPC : EIO;
		return -1;
	}
	if (number == SYS_fsync) /* a process that ends loses nothing without it */
		return 0;
	va_start(arguments, number);
	for (size_t i = 0; i < 5; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	return syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

int fsync(int fd)
{
	return (int)fault_call("fsync", SYS_fsync, (long)fd, 0L, 0L, 0L, 0L);
}

int linkat(int from, const char *path, int to, const char *new_path, int flags)
{
	return (int)fault_call("linkat", SYS_linkat, (long)from, (long)path, (long)to,
			       (long)new_path, (long)flags);
}

int renameat(int from, const char *path, int to, const char *new_path)
{
	return (int)fault_call("renameat", SYS_renameat2, (long)from, (long)path, (long)to,
			       (long)new_path, 0L);
}

int rename(const char *path, const char *new_path)
{
	return renameat(AT_FDCWD, path, AT_FDCWD, new_path);
}

int mkdirat(int folder, const char *path, mode_t mode)
{
	return (int)fault_call("mkdirat", SYS_mkdirat, (long)folder, (long)path, (long)mode, 0L,
			       0L);
}

int unlinkat(int folder, const char *path, int flags)
{
	return (int)fault_call("unlinkat", SYS_unlinkat, (long)folder, (long)path, (long)flags, 0L,
			       0L);
}

#endif
