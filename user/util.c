// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Small helpers: the clock, instants as text, sentences for the user, and paths. */
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <time.h>

#define LAST_MS 253402300799999ULL /* 9999-12-31T23:59:59.999Z */

static uint64_t read_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t now_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

uint64_t monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

uint64_t monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

uint64_t boottime_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

void rfc3339_format(uint64_t ms, char ret_text[RFC3339_SIZE])
{
	char text[RFC3339_SIZE];
	struct tm date;
	time_t seconds;

	if (ms > LAST_MS)
		ms = LAST_MS;
	seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &date);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &date);
	snprintf(ret_text, RFC3339_SIZE, "%.19s.%03uZ", text, (unsigned int)(ms % 1000));
}

/* Read exactly count digits and move past them; false, and no move, where there are fewer. */
static bool take_digits(const char **text, int count, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if (!isdigit((unsigned char)(*text)[i]))
			return false;
		value = value * 10 + ((*text)[i] - '0');
	}
	*text += count;
	*ret_value = value;
	return true;
}

static bool take_char(const char **text, char wanted)
{
	if (toupper((unsigned char)**text) != wanted)
		return false;
	(*text)++;
	return true;
}

static bool take_date(const char **text, struct tm *date)
{
	static const int days_of_month[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day, days;

	if (!take_digits(text, 4, &year) || !take_char(text, '-') ||
	    !take_digits(text, 2, &month) || !take_char(text, '-') || !take_digits(text, 2, &day))
		return false;
	if (month < 1 || month > 12)
		return false;

	days = days_of_month[month - 1];
	if (month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0))
		days = 29;
	if (day < 1 || day > days)
		return false;

	date->tm_year = year - 1900;
	date->tm_mon = month - 1;
	date->tm_mday = day;
	return true;
}

/* A leap second (":60") is refused: CLOCK_REALTIME has none. */
static bool take_time(const char **text, struct tm *date, int *ret_ms)
{
	int ms = 0;

	if (!take_digits(text, 2, &date->tm_hour) || !take_char(text, ':') ||
	    !take_digits(text, 2, &date->tm_min) || !take_char(text, ':') ||
	    !take_digits(text, 2, &date->tm_sec))
		return false;
	if (date->tm_hour > 23 || date->tm_min > 59 || date->tm_sec > 59)
		return false;

	if (take_char(text, '.')) {
		if (!isdigit((unsigned char)**text))
			return false;
		for (int unit = 100; isdigit((unsigned char)**text); unit /= 10, (*text)++)
			ms += (**text - '0') * unit;
	}
	*ret_ms = ms;
	return true;
}

/* 'Z', "+hh:mm" or "-hh:mm"; ret_seconds is how far local time is ahead of UTC. */
static bool take_offset(const char **text, int *ret_seconds)
{
	int hours, minutes, sign;

	if (take_char(text, 'Z')) {
		*ret_seconds = 0;
		return true;
	}
	if (**text != '+' && **text != '-')
		return false;
	sign = **text == '-' ? -1 : 1;
	(*text)++;
	if (!take_digits(text, 2, &hours) || !take_char(text, ':') ||
	    !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int rfc3339_parse(const char *text, uint64_t *ret_ms)
{
	struct tm date = { 0 };
	int64_t seconds;
	int ms, offset;

	if (!take_date(&text, &date) || !take_char(&text, 'T') || !take_time(&text, &date, &ms) ||
	    !take_offset(&text, &offset) || *text != '\0')
		return -EINVAL;

	seconds = (int64_t)timegm(&date) - offset;
	if (seconds < 0)
		return -ERANGE;
	*ret_ms = (uint64_t)seconds * 1000 + (uint64_t)ms;
	return 0;
}

int say_why(int error, char *why, size_t size, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vsnprintf(why, size, format, values);
	va_end(values);
	return error;
}

void user_format(uid_t uid, char ret_text[USER_TEXT_SIZE])
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(ret_text, USER_TEXT_SIZE, "%.40s (uid %u)", user->pw_name, uid);
	else
		snprintf(ret_text, USER_TEXT_SIZE, "uid %u", uid);
}

int path_join(char *ret_path, size_t size, const char *folder, const char *name)
{
	int length = snprintf(ret_path, size, "%s/%s", folder, name);

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
