/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Small helpers that every part of the user side may use: clean-up at the end of a scope, the
 * clock, instants as text, sentences for the user, and paths.
 */
#ifndef SLUICE_UTIL_H
#define SLUICE_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif

/* Run function on the variable's address when it goes out of scope. */
#define _cleanup_(function) __attribute__((__cleanup__(function)))
#define _cleanup_free_	    _cleanup_(free_pointer)
#define _cleanup_close_	    _cleanup_(close_descriptor)
#define _cleanup_fclose_    _cleanup_(close_stream)

static inline void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void close_descriptor(const int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
}

static inline void close_stream(FILE **stream)
{
	if (*stream)
		fclose(*stream);
}

/* The value of pointer, which is NULL afterwards: hands on what a clean-up would free. */
#define take_pointer(pointer)                                                                      \
	({                                                                                         \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})

/* Milliseconds since the epoch, CLOCK_REALTIME. */
uint64_t now_ms(void);

/* CLOCK_MONOTONIC. */
uint64_t monotonic_us(void);
uint64_t monotonic_ms(void);

/* CLOCK_BOOTTIME, which goes on while the machine sleeps. */
uint64_t boottime_ms(void);

/* "2026-01-02T03:04:05.678Z" and its end. */
#define RFC3339_SIZE 25

/*
 * Write an instant as RFC 3339 in UTC with milliseconds. ms counts from the epoch; what lies
 * behind the year 9999 is written as that year's last millisecond.
 */
void rfc3339_format(uint64_t ms, char ret_text[RFC3339_SIZE]);

/*
 * Read an instant, RFC 3339 section 5.6: date, 'T', time, an optional fraction, and 'Z' or an
 * offset; nothing before or behind. Digits of the fraction below the millisecond are cut off.
 *
 * Returns 0; -EINVAL where the text is none; -ERANGE where the instant is before the epoch.
 */
int rfc3339_parse(const char *text, uint64_t *ret_ms);

/* Write a sentence for the user, or a part of one, into why (size bytes), and give the error back. */
int say_why(int error, char *why, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "root (uid 0)", and "uid 990" where the number has no name. */
#define USER_TEXT_SIZE 64

/* Write whose that number is. */
void user_format(uid_t uid, char ret_text[USER_TEXT_SIZE]);

/* Write "folder/name", size bytes at most. Returns 0 or -ENAMETOOLONG. */
int path_join(char *ret_path, size_t size, const char *folder, const char *name);

#endif
