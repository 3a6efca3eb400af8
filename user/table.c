/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2 /* spaces between columns */

struct row {
	enum table_tone tone;
	char *cells[];
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct row **rows;
	size_t row_count;
	size_t room;	 /* rows that fit */
	bool incomplete; /* a row could not be added */
};

struct table *table_new(const struct table_column *columns, size_t column_count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table) {
		table->columns = columns;
		table->column_count = column_count;
	}
	return table;
}

static void row_free(struct row *row, size_t column_count)
{
	for (size_t i = 0; row && i < column_count; i++)
		free(row->cells[i]);
	free(row);
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->row_count; i++)
		row_free(table->rows[i], table->column_count);
	free(table->rows);
	free(table);
}

/* C0, DEL and, in UTF-8, C1: what a terminal may take for a command. */
static void disarm(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
			at[0] = at[1] = '?';
	}
}

static struct row *row_new(enum table_tone tone, const char *const *cells, size_t column_count)
{
	struct row *row = calloc(1, sizeof(*row) + column_count * sizeof(*row->cells));

	if (!row)
		return NULL;
	row->tone = tone;
	for (size_t i = 0; i < column_count; i++) {
		row->cells[i] = strdup(cells[i]);
		if (!row->cells[i]) {
			row_free(row, column_count);
			return NULL;
		}
		disarm(row->cells[i]);
	}
	return row;
}

/* Make room for one more row. Returns 0 or -ENOMEM. */
static int grow(struct table *table)
{
	size_t room = table->room ? table->room * 2 : 16;
	struct row **rows;

	if (table->row_count < table->room)
		return 0;
	rows = realloc(table->rows, room * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	table->rows = rows;
	table->room = room;
	return 0;
}

void table_add(struct table *table, enum table_tone tone, const char *const *cells)
{
	struct row *row;

	if (!table)
		return;
	row = grow(table) ? NULL : row_new(tone, cells, table->column_count);
	if (row)
		table->rows[table->row_count++] = row;
	else
		table->incomplete = true;
}

/* Characters, taking each code point for one column. */
static size_t width(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

static size_t column_width(const struct table *table, size_t column)
{
	const char *title = table->columns[column].title;
	size_t widest = title ? width(title) : 0;

	for (size_t i = 0; i < table->row_count; i++) {
		size_t cell = width(table->rows[i]->cells[column]);

		widest = cell > widest ? cell : widest;
	}
	return widest;
}

/* Columns of the window; SIZE_MAX where to is not a terminal. */
static size_t window(FILE *to)
{
	struct winsize size;

	if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) || !size.ws_col)
		return SIZE_MAX;
	return size.ws_col;
}

/* Print the part of text that fits into room columns. */
static void print_clipped(const char *text, size_t room, FILE *to)
{
	for (; *text; text++) {
		if ((*text & 0xc0) != 0x80 && !room--)
			return;
		fputc(*text, to);
	}
}

static void print_row(const struct table *table, const size_t *widths, const char *const *cells,
		      size_t room, FILE *to)
{
	size_t pending =
		0; /* spaces owed before the next text: none are left at the end of a line */

	for (size_t i = 0; i < table->column_count; i++) {
		size_t wide = width(cells[i]);
		size_t padding = widths[i] - wide;

		if (table->columns[i].right)
			pending += padding;
		if (wide && pending < room) {
			fprintf(to, "%*s", (int)pending, "");
			room -= pending;
			print_clipped(cells[i], room, to);
			room -= wide < room ? wide : room;
			pending = 0;
		}
		pending += GAP + (table->columns[i].right ? 0 : padding);
	}
}

static void print_titles(const struct table *table, const size_t *widths, size_t room, FILE *to)
{
	const char *titles[table->column_count];

	for (size_t i = 0; i < table->column_count; i++)
		titles[i] = table->columns[i].title;
	fputs(table_colour(to) ? "\033[1m" : "", to);
	print_row(table, widths, titles, room, to);
	fputs(table_colour(to) ? "\033[0m\n" : "\n", to);
}

int table_print(const struct table *table, FILE *to)
{
	static const char *const tones[] = {
		[TABLE_PLAIN] = "",
		[TABLE_GOOD] = "\033[32m",
		[TABLE_BAD] = "\033[31m",
		[TABLE_FAINT] = "\033[2m",
	};
	size_t room = window(to);

	if (!table || table->incomplete)
		return -ENOMEM;

	size_t widths[table->column_count];
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = column_width(table, i);
	if (table->columns[0].title)
		print_titles(table, widths, room, to);
	for (size_t i = 0; i < table->row_count; i++) {
		const struct row *row = table->rows[i];
		bool coloured = row->tone != TABLE_PLAIN && table_colour(to);

		fputs(coloured ? tones[row->tone] : "", to);
		print_row(table, widths, (const char *const *)row->cells, room, to);
		fputs(coloured ? "\033[0m\n" : "\n", to);
	}
	return 0;
}

bool table_colour(FILE *to)
{
	return isatty(fileno(to)) && !getenv("NO_COLOR");
}

const char *table_number(uint64_t value, char into[TABLE_NUMBER_SIZE])
{
	char digits[21];
	int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
	char *to = into;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return into;
}
