/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The settings as tables over struct config: the file, the command line, the help and what a reload
 * changes are read off them.
 */
#ifndef SLUICE_SETTING_H
#define SLUICE_SETTING_H

#include "config.h"

enum setting_kind {
	SETTING_PATH,	/* char[size] */
	SETTING_WORD,	/* char[size], as key_check_word() has it */
	SETTING_NUMBER, /* uint32_t from minimum to maximum */
	SETTING_CHOICE, /* bool: the first of two words is false, the second is true */
	SETTING_GROUP,	/* uint32_t: a gid, from a group's name or number */
	/* Lists, apart by commas or spaces. One that is there again adds to what is there. */
	SETTING_INTERFACES, /* struct interface_list */
	SETTING_NETWORKS,   /* struct network_list */
};

struct setting {
	const char *name; /* in the file, and as an option */
	enum setting_kind kind;
	size_t offset;
	uint32_t size;
	uint32_t minimum, maximum;
	const char *choices[2];
	const char *argument; /* its name in the help; NULL: in the file only */
	const char *help;
	bool fixed; /* cannot change while the daemon runs */
};

/*
 * Settings of [sluice], over struct config, of [shed], over struct config_shed, and of [port N], over
 * struct config_port.
 */
extern const struct setting sluice_settings[];
extern const size_t sluice_setting_count;
extern const struct setting shed_settings[];
extern const size_t shed_setting_count;
extern const struct setting port_settings[];
extern const size_t port_setting_count;

/* The setting at index, of [sluice] first and of [port N] behind them. NULL: no more. */
const struct setting *setting_at(size_t index);

/*
 * Put text into the struct that setting describes. Returns 0 or -EINVAL with what is allowed in
 * why, as the end of a sentence that names the setting.
 */
int setting_put(const struct setting *setting, void *target, const char *text, char *why,
		size_t why_size);

/* Room for any value as text. */
#define SETTING_TEXT_SIZE 4096

/* Write the value of the struct that setting describes, as the file has it. */
void setting_format(const struct setting *setting, const void *values, char *ret_text, size_t size);

/* Whether it is a list. */
bool setting_is_list(const struct setting *setting);

/* As setting_put() and setting_format(), of lists; place is that of the list itself. */
int setting_list_put(enum setting_kind kind, void *place, const char *text, char *why,
		     size_t why_size);
void setting_list_format(enum setting_kind kind, const void *place, char *ret_text, size_t size);

/* Whether two such structs have the same value. */
bool setting_equal(const struct setting *setting, const void *a, const void *b);

/* Read a decimal number from minimum to maximum, digits alone. Returns 0 or -EINVAL. */
int setting_read_number(const char *text, uint32_t minimum, uint32_t maximum, uint32_t *ret_number);

/* The port of that number; added with its defaults where absent. NULL: too many ports. */
struct config_port *config_add_port(struct config *config, uint32_t port);

/* Read a configuration file into config. Errors and why as for config_read(). */
int config_read_file(const char *path, struct config *config, char *why, size_t why_size);

#endif
