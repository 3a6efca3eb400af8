// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The daemon's log on stderr. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* True where stderr is the stream that systemd names in JOURNAL_STREAM ("device:inode"). */
static bool stderr_is_journal(void)
{
	static int known = -1;
	const char *stream;
	struct stat status;
	char ours[48];

	if (known >= 0)
		return known;
	known = 0;
	stream = getenv("JOURNAL_STREAM");
	if (stream && fstat(STDERR_FILENO, &status) == 0) {
		snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)status.st_dev,
			 (unsigned long long)status.st_ino);
		known = strcmp(stream, ours) == 0;
	}
	return known;
}

static const char *level_name(int level)
{
	switch (level) {
	case LOG_WARNING:
		return "warning: ";
	case LOG_NOTICE:
	case LOG_INFO:
		return "";
	default:
		return "error: ";
	}
}

void log_line(int level, const char *format, ...)
{
	int saved_errno = errno;
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}

	/* One call, so that lines of several threads are not mixed. */
	if (stderr_is_journal())
		fprintf(stderr, "<%d>%s\n", level, text);
	else
		fprintf(stderr, "%s%s\n", level_name(level), text);
	errno = saved_errno;
}
