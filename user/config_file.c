/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The configuration file: [sluice], [shed] and any number of [port N] sections, read with inih. */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

#include "setting.h"

struct reading {
	const char *path;
	FILE *file;
	struct config *config;
	char *why;
	size_t why_size;
	int line;
	bool failed;
	/* The section that the reader is in; settings is NULL before the first. */
	char section[64];
	const struct setting *settings;
	size_t setting_count;
	void *target;
	bool had_sluice; /* there was a [sluice] */
	bool had_shed;
	uint32_t seen; /* bit per setting that the section has had */
};

/* Note the first thing that is wrong, a clause, as a sentence with its place. */
__attribute__((format(printf, 2, 3))) static void fail(struct reading *reading, const char *format,
						       ...)
{
	va_list arguments;
	char clause[320];

	if (reading->failed)
		return;
	reading->failed = true;
	va_start(arguments, format);
	vsnprintf(clause, sizeof(clause), format, arguments);
	va_end(arguments);
	snprintf(reading->why, reading->why_size, "%s:%d: %s.", reading->path, reading->line,
		 clause);
}

static void begin_port(struct reading *reading, const char *number)
{
	struct config *config = reading->config;
	size_t before = config->port_count;
	uint32_t port;

	if (setting_read_number(number, 1, 65535, &port)) {
		fail(reading, "[port %s]: a port is a number from 1 to 65535", number);
		return;
	}
	reading->target = config_add_port(config, port);
	reading->settings = port_settings;
	reading->setting_count = port_setting_count;
	if (!reading->target)
		fail(reading, "too many ports; %d are allowed", CONFIG_PORTS_MAX);
	else if (config->port_count == before)
		fail(reading, "[port %s] is there twice", number);
}

/* Enter a section that there is once. */
static void begin_once(struct reading *reading, bool *had, const struct setting *settings,
		       size_t count, void *target)
{
	if (*had)
		fail(reading, "[%s] is there twice", reading->section);
	*had = true;
	reading->settings = settings;
	reading->setting_count = count;
	reading->target = target;
}

/*
 * Enter the section that line begins. inih tells of a section by its settings only; a [port N]
 * without any is a port to protect all the same, and must not be passed over in silence.
 */
static void begin_section(struct reading *reading, const char *line)
{
	reading->seen = 0;
	if (sscanf(line, " [%63[^]\n]]", reading->section) != 1)
		return; /* inih reports it */
	if (!strcmp(reading->section, "sluice"))
		begin_once(reading, &reading->had_sluice, sluice_settings, sluice_setting_count,
			   reading->config);
	else if (!strcmp(reading->section, "shed"))
		begin_once(reading, &reading->had_shed, shed_settings, shed_setting_count,
			   &reading->config->shed);
	else if (!strncmp(reading->section, "port ", 5))
		begin_port(reading, reading->section + 5);
	else
		fail(reading, "unknown section [%s]; there are [sluice], [shed] and [port N]",
		     reading->section);
}

/* inih's source of lines; it counts them, so that whatever is wrong can be placed. */
static char *read_line(char *line, int size, void *data)
{
	struct reading *reading = data;

	/* inih asks for one more line after a setting that was refused. */
	if (reading->failed || !fgets(line, size, reading->file))
		return NULL;
	reading->line++;
	if (!strchr(line, '\n') && !feof(reading->file))
		fail(reading, "the line is too long; %d bytes are allowed", size - 2);
	if (line[strspn(line, " \t")] == '[')
		begin_section(reading, line);
	return reading->failed ? NULL : line;
}

/* "unknown setting 'x'; [port 80] has identity, trailers, head_limit" */
static void fail_unknown(struct reading *reading, const char *name)
{
	char names[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < reading->setting_count && used < sizeof(names); i++)
		used += snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
				 reading->settings[i].name);
	fail(reading, "unknown setting '%s'; [%s] has %s", name, reading->section, names);
}

/* inih's handler: one setting. Returns 1 for success, as inih wants it. */
static int take_setting(void *data, const char *section, const char *name, const char *value)
{
	struct reading *reading = data;
	char allowed[256];

	(void)section; /* begin_section() has it */
	if (!reading->settings) {
		fail(reading, "'%s' stands before any section; begin with [sluice] or [port N]",
		     name);
		return 0;
	}
	for (size_t i = 0; i < reading->setting_count; i++) {
		const struct setting *setting = &reading->settings[i];

		if (strcmp(setting->name, name))
			continue;
		if (reading->seen & 1u << i && !setting_is_list(setting))
			fail(reading, "'%s' is there twice in [%s]", name, reading->section);
		else if (setting_put(setting, reading->target, value, allowed, sizeof(allowed)))
			fail(reading, "'%s' %s", name, allowed);
		reading->seen |= 1u << i;
		return !reading->failed;
	}
	fail_unknown(reading, name);
	return 0;
}

int config_read_file(const char *path, struct config *config, char *why, size_t why_size)
{
	struct reading reading = {
		.path = path,
		.config = config,
		.why = why,
		.why_size = why_size,
	};
	int r;

	reading.file = fopen(path, "re");
	if (!reading.file) {
		r = -errno;
		snprintf(why, why_size, "The configuration %s cannot be read: %s.", path,
			 strerror(-r));
		return r;
	}
	r = ini_parse_stream(read_line, &reading, take_setting, &reading);
	if (r > 0 && (!reading.failed || r < reading.line)) {
		reading.failed = false;
		reading.line = r;
		fail(&reading, "neither a [section] nor a 'name = value'");
	}
	fclose(reading.file);
	return r || reading.failed ? -EINVAL : 0;
}
