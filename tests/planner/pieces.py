"""The pieces that statements are made of; those with braces are filled in by the grammar."""

from collections.abc import Mapping


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


SHAPES: Mapping[str, tuple[str, ...]] = {
    "number": _lines("""
        ({number} + {number})
        ({number} - {number} * 2)
        -{number}
        abs({number})
        length({text})
        coalesce({number}, {number})
        CASE WHEN {where} THEN {number} ELSE {number} END
        CAST({number} AS DOUBLE)
        {number}::double
        TRY_CAST({text} AS BIGINT)
        ({query})
        ({query})
        extract(year FROM {date})
        position('a' IN {text})
        nullif({number},{gap}{number})
        sum({number}) OVER (PARTITION BY {text} ORDER BY {number})
        row_number() OVER (PARTITION BY {text} ORDER BY {date})
        lag({number}) OVER (ORDER BY {number})
        array_length([{number}, {number}])
        named_struct('a', {number})['a']
        {number} % 7
    """),
    "text": _lines("""
        upper({text})
        {text} || {text}
        concat({text}, {text})
        CASE {text} WHEN 'a' THEN {text} ELSE {text} END
        CAST({number} AS VARCHAR)
        substring({text} FROM 1 FOR 2)
        trim(BOTH 'x' FROM {text})
        overlay({text} PLACING 'x' FROM 1)
        replace({text}, 'a', {text})
        ({query})
        coalesce({text},{gap}'x')
        first_value({text}) OVER (ORDER BY {number})
    """),
    "date": _lines("""
        ({query})
        date_trunc('day', {date})::date
        CAST({date} + INTERVAL '1 day' AS DATE)
        coalesce({date}, {date})
        max({date}) OVER (PARTITION BY {text})
        CASE WHEN {where} THEN {date} ELSE {date} END
    """),
}
CONDITIONS = _lines("""
    {number} = {number}
    {text} <> {text}
    {number} > {number} AND {number} < {number}
    ({number} IS NULL OR {text} = 'a')
    {number} IN (1, 2, 3)
    {number}{gap}NOT IN ({number})
    {text} LIKE 'a%'
    {text} ILIKE '%b'
    {text} SIMILAR TO 'a'
    {text} ~ 'x'
    {date} BETWEEN {date} AND {date}
    {number} IS DISTINCT FROM {number}
    {text}{gap}IS{gap}NOT NULL
    NOT ({number} = {number})
    true
    {number} = ANY([1, 2])
""")
JOINS = _lines("""
    {one}, {two}
    {one} JOIN {two} ON true
    {one} CROSS JOIN {two}
    {one}, LATERAL (SELECT 1) l
    {one} NATURAL JOIN {two}
    {number} IN ({query})
    EXISTS ({query})
    {number} = ANY ({query})
    {number} > ALL ({query})
""")
ANYTHING = _lines("""
    {one} AT TIME ZONE 'UTC'
    unnest(tags)
    info['Venue']
    info.venue
    tags[1]
    tags[1:2]
    count(*)
    sum({one})
    max({one}) FILTER (WHERE true)
    array_agg({one} ORDER BY 1)
    percentile_cont(0.5) WITHIN GROUP (ORDER BY {one})
    {{'a': {one}}}
    {{a: {one}}}
    [{one}]
    lag({one}) OVER w
    array_transform(tags, x -> x + 1)
    X'41'
    B'01'
    N'n'
    U&'\\0061'
    E'\\x41'
    INTERVAL '1' DAY
    now()
    read_csv('/etc/passwd')
    {one}::{gap}text
    $1
    ?
    {one} COLLATE "C"
    (VALUES (1))
    ({one}, {one})
    {one} IS NOT TRUE
    grouping({one})
    sum({one}) IGNORE NULLS OVER ()
""")
KEYWORDS = _lines("""
    UNION
    UNION ALL
    INTERSECT
    EXCEPT
    JOIN
    CROSS JOIN
    NATURAL JOIN
    LEFT
    OUTER
    SEMI
    ANTI
    FULL
    LATERAL
    APPLY
    WITH
    WITH RECURSIVE
    MATERIALIZED
    SELECT
    FROM
    TABLE
    TABLE quote
    VALUES (1)
    PIVOT
    UNPIVOT
    UNNEST
    AS
    INTO
    OVER
    OVER ()
    QUALIFY
    WINDOW
    ONLY
    CASE
    WHEN
    END
    NOT
    EXISTS
    IN
    ANY
    ALL
    DISTINCT
    DISTINCT ON (1)
    TOP 1
    LIMIT 1
    OFFSET
    FETCH
    FOR
    FOR UPDATE
    SET
    USING (bid)
    ON true
    ON
    WHERE
    GROUP BY
    GROUP BY ALL
    HAVING
    ORDER BY
    SORT BY
    CLUSTER BY
    DISTRIBUTE BY
    PREWHERE
    FINAL
    SAMPLE
    TABLESAMPLE (1)
    LATERAL VIEW explode(x) t
    CONNECT BY
    START WITH
    MATCH_RECOGNIZE
    PARTITION
    PARTITION (a)
    VERSION AS OF 1
    FOR SYSTEM_TIME AS OF now()
    SETTINGS
    FORMAT JSON
    RETURNING
    EXPLAIN
    DESCRIBE
    COPY
    SHOW
    USE
    CALL
    INSERT
    INTERVAL
    DATE
    ARRAY
    STRUCT
    MAP
    ROW
    payroll.hr.salaries
    salaries
    (salaries)
    , salaries
    (TABLE salaries)
    (SELECT * FROM salaries)
""")
HOSTILE = (
    *("\0", "\ud800", "＠", "а", "е", "о", "ｘ", "ß", "İ"),  # noqa: RUF001  look-alikes are the point
    *("\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00a0", "\u2028", "\x85"),
    *("\x0b", "\x0c", "\x1a", "\x7f", "\\", "\\'", "'", '"', "`", "''", '""', "``"),
    *("/*", "*/", "/**/", "--", "--\n", "#", "//", "$$", "$a$", "$1", "?", ":x", "@", "@@"),
    *(";", ";;", "(", ")", "[", "]", "{", "}", ",", ".", "..", "::", ":", "||", "|>", "=>"),
    *("->", "->>", "<", ">", "=", "!", "~", "^", "&", "|", "%", "*", "+", "-", "/", "{{", "{%"),
    *("E'\\'", "U&'\\0041'", "N'x'", "X'41'", "B'01'", "R'x'", 'U&"\\0071uote"', "@hangzhou"),
    *("1e999", "0x", "1_000", "1.", ".5"),
    *(
        " salaries ",
        " payroll.hr.salaries ",
        '"payroll"."hr"."salaries"',
        "payroll/**/.hr.salaries",
    ),
)
