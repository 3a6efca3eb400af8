/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The answer to --help, read off the tables of options and settings. */
#include "config_rows.h"
#include "setting.h"

static void print_row(FILE *out, const char *name, const char *argument, const char *help)
{
	char left[48];

	snprintf(left, sizeof(left), "%s %s", name, argument ? argument : "");
	fprintf(out, "  %-22s %s", left, help);
}

static void print_rows(FILE *out, const struct option_row *rows, size_t count)
{
	char name[32];

	for (size_t i = 0; i < count; i++) {
		if (!rows[i].help)
			continue;
		snprintf(name, sizeof(name), "--%s", rows[i].name);
		print_row(out, name, rows[i].argument, rows[i].help);
		fputc('\n', out);
	}
}

/* A setting with its range and what it is by default, which is at its offset in defaults. */
static void print_setting(FILE *out, const struct setting *setting, const char *name,
			  const char *argument, const void *values)
{
	char value[SETTING_TEXT_SIZE];

	setting_format(setting, values, value, sizeof(value));
	print_row(out, name, argument, setting->help);
	if (setting->kind == SETTING_NUMBER)
		fprintf(out, ", %u to %u", setting->minimum, setting->maximum);
	if (*value)
		fprintf(out, " (default: %s)", value);
	fputc('\n', out);
}

static const void *values_of(size_t index)
{
	return index < sluice_setting_count ? (const void *)&config_defaults
					    : &config_port_defaults;
}

static void print_options(FILE *out)
{
	char name[32];

	print_rows(out, config_rows_before, config_rows_before_count);
	for (size_t i = 0; setting_at(i); i++) {
		const struct setting *setting = setting_at(i);

		snprintf(name, sizeof(name), "--%s", setting->name);
		if (setting->argument)
			print_setting(out, setting, name, setting->argument, values_of(i));
	}
	print_rows(out, config_rows_after, config_rows_after_count);
}

static void print_section(FILE *out, const char *name, const struct setting *settings, size_t count,
			  const void *defaults)
{
	fprintf(out, "\n[%s]\n", name);
	for (size_t i = 0; i < count; i++)
		print_setting(out, &settings[i], settings[i].name, NULL, defaults);
}

void config_print_help(FILE *out)
{
	fprintf(out, "sluiced checks API keys and their limits in the kernel, in front of the\n"
		     "applications that listen on the given ports.\n\n"
		     "Usage: sluiced [--port N]... [OPTION]...\n"
		     "       sluiced --remove | --backup DIR | --restore DIR [OPTION]...\n\n");
	print_options(out);
	fprintf(out, "\nThe configuration may have these and more; the command line wins.\n");
	print_section(out, "sluice", sluice_settings, sluice_setting_count, &config_defaults);
	print_section(out, "shed", shed_settings, shed_setting_count, &config_defaults.shed);
	print_section(out, "port N", port_settings, port_setting_count, &config_port_defaults);
	fprintf(out, "\nExit status: 0 done, 1 failed (the reason on stderr), 2 wrong usage.\n");
}
