/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's log: lines on stderr, for a terminal or the journal. Nothing secret is ever passed
 * to these functions: no key's text, no pepper.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include <syslog.h>

/*
 * Write one line, of a level from LOG_ERR to LOG_INFO. Where stderr is the journal's it is preceded
 * by the level as sd-daemon(3) has it; elsewhere errors and warnings are named as such. Control
 * characters are written as '?'. errno is left as it was.
 */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_INFO, __VA_ARGS__)

#endif
