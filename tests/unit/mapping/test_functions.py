"""Functions: what partners write, and what a mapping makes of it."""

from __future__ import annotations

import duckdb
import pytest

from cityorchestra_ld.errors import MappingError
from cityorchestra_ld.iris import slug
from cityorchestra_ld.mapping import functions, workspace
from cityorchestra_ld.mapping.plan import Fixed, FunctionCall, Input, Reference
from cityorchestra_ld.namespaces import FN

SC = "http://purl.org/linked-data/sdmx/2009/code#"


@pytest.fixture(scope="module")
def call():
    """Call a function on texts as the compiled SQL does: strict ones give None for None, refused arguments raise."""
    connection = duckdb.connect()
    for macro in workspace._MACROS.values():
        connection.execute(macro)

    def run(name, *arguments):
        function = functions.REGISTRY[name if ":" in name else FN + name]
        if function.strict and any(a is None for a in arguments):
            return None
        written, cells, given = [], [], list(arguments)
        for parameter in function.parameters:
            values = given if parameter.repeated else given[:1]
            given = given[len(values) :]
            values = values or [parameter.default]
            for value in values:
                if parameter.kind == "constant":
                    written.append(value)
                elif parameter.kind == "boolean":
                    written.append(str(value).lower())
                else:
                    cells.append(value)
                    written.append(f"a{len(cells)}")
        check = f"coalesce({function.check(*written)}, false)" if function.check else "true"
        row = ", ".join("?::VARCHAR AS a" + str(number) for number in range(1, len(cells) + 1)) or "1"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE cells AS SELECT {row}", cells)
        ok, result = connection.execute(
            f"SELECT {check}, CASE WHEN {check} THEN {function.build(*written)} END FROM cells"
        ).fetchone()
        if not ok:
            raise ValueError(arguments[0])
        return result

    functions._load()
    yield run
    connection.close()


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [
        ("1\u00a0234,50", ",", "1234.5"), ("1\u202f234,5", ",", "1234.5"), ("1 000", ".", "1000"),
        ("-0,10", ",", "-0.1"), ("12", ",", "12"), ("3.140", ".", "3.14"),
        ("1e-7", ".", "0.0000001"), ("+007", ".", "7"),
    ],
)  # fmt: skip
def test_decimals_are_read_with_the_declared_mark(call, cell, mark, number):
    assert call("decimal", cell, mark) == number


@pytest.mark.parametrize("cell", ["secret", "s", "ns", "nd", "so", "-", "NR", "", " ", "S", "s/secret", "Secret "])
def test_hidden_cells_are_no_number(call, cell):
    assert call("decimal", cell, ",") is None
    assert call("integer", cell) is None


@pytest.mark.parametrize(
    ("cell", "mark"), [("1,5", "."), ("1.5", ","), ("abc", "."), ("1,234.5", ","), ("12 €", ","), ("--1", ".")]
)
def test_text_that_is_no_number_is_refused(call, cell, mark):
    with pytest.raises(ValueError, match=r".*"):
        call("decimal", cell, mark)


def test_integers_may_have_thousands_spaces_and_an_empty_fraction(call):
    assert call("integer", "1 000 000") == "1000000"
    assert call("integer", "42.0") == "42"
    with pytest.raises(ValueError, match=r"4\.5"):
        call("integer", "4.5")


def test_status_functions_tell_secret_missing_and_there(call):
    assert [call("confStatus", cell) for cell in ("secret", "S", "nd", "12", None)] == [SC + "confStatus-C"] * 2 + [
        SC + "confStatus-F"
    ] * 3
    assert [call("obsStatus", cell) for cell in ("secret", "", None, "12")] == [SC + "obsStatus-M"] * 3 + [SC + "obsStatus-A"]


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("true", "true"),
        ("Oui", "true"),
        ("1", "true"),
        ("vrai", "true"),
        ("NON", "false"),
        ("0", "false"),
        ("Faux", "false"),
        ("", None),
    ],
)
def test_yes_and_no_are_read_in_french_and_english(call, cell, answer):
    assert call("boolean", cell) == answer


def test_a_boolean_must_be_yes_or_no(call):
    with pytest.raises(ValueError, match="peut-être"):
        call("boolean", "peut-être")


@pytest.mark.parametrize(
    ("cell", "form", "day"),
    [
        ("31/12/2024", "dd/mm/yyyy", "2024-12-31"), ("20240229", "yyyymmdd", "2024-02-29"), ("2024-01-05", "iso", "2024-01-05"),
        ("2024-01-05T10:00:00Z", "iso", "2024-01-05"), ("", "dd/mm/yyyy", None), ("01-02-2024", "dd-mm-yyyy", "2024-02-01"),
    ],
)  # fmt: skip
def test_days_are_read_in_the_declared_format(call, cell, form, day):
    assert call("date", cell, form) == day


@pytest.mark.parametrize(
    ("cell", "form"), [("30/02/2024", "dd/mm/yyyy"), ("2024-02-30", "iso"), ("12/31/2024", "dd/mm/yyyy"), ("x", "iso")]
)
def test_days_that_do_not_exist_are_refused(call, cell, form):
    with pytest.raises(ValueError, match=r".*"):
        call("date", cell, form)


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        ("2021/10/22 00:00:00", "2021-10-22T00:00:00+02:00"), ("2021-12-22 08:30", "2021-12-22T08:30:00+01:00"),
        ("2022-02-23T18:08:54+0000", "2022-02-23T18:08:54+00:00"), ("2024-07-01T10:00:00.250Z", "2024-07-01T10:00:00.250Z"),
        ("01/07/2024 10:00", "2024-07-01T10:00:00+02:00"), ("2024-07-01", "2024-07-01T00:00:00+02:00"),
        ("2024-07-01 10:00:00+02", "2024-07-01T10:00:00+02:00"), ("2024-03-31 12:00:00", "2024-03-31T12:00:00+02:00"),
        ("2024-07-01T10:00:00-05:30", "2024-07-01T10:00:00-05:30"), ("", None),
    ],
)  # fmt: skip
def test_instants_get_an_offset_paris_when_none_is_written(call, cell, instant):
    assert call("dateTime", cell) == instant


@pytest.mark.parametrize("cell", ["2024-02-30 10:00:00", "10:00", "yesterday", "2024-07-01T25:00:00Z"])
def test_instants_that_do_not_exist_are_refused(call, cell):
    with pytest.raises(ValueError, match=r".*"):
        call("dateTime", cell)


def test_epochs_are_seconds_or_milliseconds(call):
    assert call("epoch", "1645639734") == "2022-02-23T18:08:54Z"
    assert call("epoch", "1645639734000") == "2022-02-23T18:08:54Z"
    assert call("epoch", "0") == "1970-01-01T00:00:00Z"


def test_times_past_midnight_are_durations(call):
    assert call("duration", "25:10:00") == "PT25H10M0S"
    assert call("duration", "09:05:00") == "PT9H5M0S"


def test_points_are_written_longitude_first(call):
    assert call("point", "-1.68", "48.11") == "POINT(-1.68 48.11)"
    assert call("pointFromPair", "48.11, -1.68", "latlon") == "POINT(-1.68 48.11)"
    assert call("pointFromPair", "[7.48, 48.34]", "lonlat") == "POINT(7.48 48.34)"
    assert call("pointFromPair", "[7.48,48.34,12.5]", "lonlat") == "POINT(7.48 48.34)"
    assert call("pointFromPair", "", "latlon") is None


@pytest.mark.parametrize(("lon", "lat"), [("200", "48"), ("-1.6", "96"), ("x", "48"), ("-1,6", "48,1")])
def test_points_off_the_earth_are_refused(call, lon, lat):
    with pytest.raises(ValueError, match=r".*"):
        call("point", lon, lat)


@pytest.mark.parametrize(
    ("geojson", "wkt"),
    [
        ('{"type": "Point", "coordinates": [-1.5, 48]}', "POINT(-1.5 48)"),
        ('{"type":"LineString","coordinates":[[0,1],[2,3.5]]}', "LINESTRING(0 1, 2 3.5)"),
        ('{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]],[[0.1,0.1],[0.2,0.1],[0.2,0.2],[0.1,0.1]]]}',
         "POLYGON((0 0, 1 0, 1 1, 0 0), (0.1 0.1, 0.2 0.1, 0.2 0.2, 0.1 0.1))"),
        ('{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]],[[[5,5,9],[6,5,9],[6,6,9],[5,5,9]]]]}',
         "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))"),
        ('{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}', "GEOMETRYCOLLECTION(POINT(1 2))"),
    ],
)  # fmt: skip
def test_geojson_geometries_become_wkt(call, geojson, wkt):
    assert call("geometry", geojson) == wkt


@pytest.mark.parametrize("cell", ["{", '{"type":"Circle","coordinates":[0,0]}', "[1,2]", "POINT(1 2)"])
def test_what_is_no_geojson_geometry_is_refused(call, cell):
    with pytest.raises(ValueError, match=r".*"):
        call("geometry", cell)


def test_text_functions_do_what_they_say(call):
    assert call("split", " a ; b;;c ", ";") == ["a", "b", "c"]
    assert call("padLeft", "35", "5") == "00035"
    assert call("padLeft", "350001234", "5") == "350001234"
    assert call("lookup", " b ", "a=1; b = 2 ;c=3") == "2"
    assert call("lookup", "z", "a=1") is None
    assert call("upper", "é") == "É"
    assert call("replace", "a-b", "-", "") == "ab"
    assert call("substring", "ABCDE", "1", "3") == "BC"
    assert call("substring", "ABCDE", "2") == "CDE"
    assert call("coalesce", "", None, "c") == "c"
    assert call("trim", " x ") == "x"
    assert call("multiply", "1.5", "1000") == "1500"
    assert call("divide", "1", "0") is None
    assert call("subtract", "0.3", "0.1") == "0.2"


def test_conditions_are_never_unknown(call):
    assert call("equals", "a", "a") is True
    assert call("equals", None, "a") is False
    assert call("notEquals", None, "a") is True
    assert call("isNull", " ") is True
    assert call("isNotNull", None) is False
    assert call("and", True, False) is False
    assert call("or", True, False) is True
    assert call("not", True) is False
    assert call("greaterThan", "10", "9") is True
    assert call("greaterThan", "x", "9") is False
    assert call("matches", "35238", "^35") is True
    assert call("if", True, "a", "b") == "a"
    assert call("if", False, "a", "") is None


@pytest.mark.parametrize(
    "name", ["Plœuc-L'Hermitage", "Saint-Méen-le-Grand", "ÉNERGIE & Habitat n°3 ½", "Æ/ß ﬁ № ²", "---", "Ľubľana"]
)
def test_slugs_are_those_of_our_iris(call, name):
    assert (call("slug", name) or "") == slug(name)


def test_grel_names_mean_the_same(call):
    assert call(functions.GREL + "toUpperCase", "abc") == "ABC"
    assert call(functions.GREL + "string_split", "a,b", ",") == ["a", "b"]
    assert call(functions.IDLAB + "equal", "a", "b") is False


# --- the allow-list -----------------------------------------------------------------------------------------------------------


def bound(name, *inputs):
    return functions.resolve_function(FunctionCall(name, tuple(Input(FN + parameter, value) for parameter, value in inputs)))


def test_a_function_that_is_not_allowed_is_refused_with_the_nearest_name():
    with pytest.raises(LookupError) as caught:
        bound(FN + "decimale", ("value", Reference("a")))
    assert "fn:decimal." in caught.value.args[2].en


@pytest.mark.parametrize("name", ["os.system", "java:java.lang.Runtime", FN + "read_csv", FN + "__import__"])
def test_nothing_outside_the_list_can_be_called(name):
    with pytest.raises(LookupError):
        bound(name, ("value", Reference("a")))


def test_unknown_missing_and_doubled_parameters_are_refused():
    for inputs in ([("valeur", Reference("a"))], [], [("value", Reference("a")), ("value", Reference("b"))]):
        with pytest.raises(LookupError) as caught:
            bound(FN + "slug", *inputs)
        assert "fn:slug(value)" in caught.value.args[2].en


def test_settings_of_a_function_must_be_constants():
    import pyoxigraph as ox

    bound(FN + "date", ("value", Reference("a")), ("format", Fixed(ox.Literal("iso"))))
    with pytest.raises(LookupError, match="constante"):
        bound(FN + "date", ("value", Reference("a")), ("format", Reference("b")))


def test_every_function_says_what_it_does():
    functions._load()
    assert all(function.doc for function in functions.REGISTRY.values())
    assert all(function.expects for function in functions.REGISTRY.values() if function.check)


# --- in a mapping -------------------------------------------------------------------------------------------------------------

VALUE = '[ rml:parameter fn:value ; rml:inputValueMap [ rml:reference "n" ] ]'
CALL = "rml:functionExecution [ rml:function fn:{0} ; rml:input " + VALUE + " {1} ]"


def test_a_function_result_has_its_own_datatype(bench, csv_rule):
    mark = ', [ rml:parameter fn:mark ; rml:inputValue "," ]'
    rule = csv_rule(CALL.format("decimal", mark))
    assert bench.values(rule, {"data.csv": 'id,n\n1,"1 234,50"\n2,secret\n3,\n'}) == {
        '"1234.5"^^<http://www.w3.org/2001/XMLSchema#decimal>'
    }


def test_a_function_error_names_the_cell(bench, csv_rule):
    with pytest.raises(MappingError, match="fn:decimal expects") as caught:
        bench.run(csv_rule(CALL.format("decimal", "")), {"data.csv": 'id,n\n1,1\n2,"1,5"\n'})
    assert caught.value.place is not None
    assert (caught.value.place.row, caught.value.place.column, caught.value.place.value) == (3, "n", "1,5")


def test_concat_takes_the_same_parameter_several_times(bench, csv_rule):
    more = ', [ rml:parameter fn:value ; rml:inputValue "/" ], ' + VALUE.replace('"n"', '"id"')
    assert bench.values(csv_rule(CALL.format("concat", more)), {"data.csv": "id,n\n1,a\n2,\n"}) == {'"a/1"'}


def test_a_list_function_gives_several_objects(bench, csv_rule):
    separator = ', [ rml:parameter fn:separator ; rml:inputValue ";" ]'
    rule = csv_rule(CALL.format("split", separator))
    assert bench.values(rule, {"data.csv": "id,n\n1,a;b\n2,\n"}) == {'"a"', '"b"'}


def test_a_condition_on_a_rule_or_a_pair_keeps_rows_out(bench, csv_rule):
    condition = "fn:condition [ " + CALL.format("equals", ', [ rml:parameter fn:other ; rml:inputValue "x" ]') + " ] ;"
    assert bench.run(csv_rule('rml:reference "n"', more=condition), {"data.csv": "id,n\n1,x\n2,y\n3,\n"}) == {
        '<http://ex.org/1> <http://ex.org/p0> "x"'
    }
    pair = (
        f'rml:predicateObjectMap [ rml:predicate ex:q ; rml:object "yes" ; {condition[:-1]} ] ;'
        'rml:predicateObjectMap [ rml:predicate ex:all ; rml:object "row" ] ;'
    )
    assert bench.run(csv_rule(more=pair), {"data.csv": "id,n\n1,x\n2,y\n"}) == {
        '<http://ex.org/1> <http://ex.org/q> "yes"', '<http://ex.org/1> <http://ex.org/all> "row"',
        '<http://ex.org/2> <http://ex.org/all> "row"',
    }  # fmt: skip


def test_a_row_that_a_condition_keeps_out_cannot_fail(bench, csv_rule):
    condition = "fn:condition [ " + CALL.format("isNotNull", "") + " ] ;"
    rule = csv_rule('rml:reference "m" ; rml:datatype xsd:integer', CALL.format("integer", ""), more=condition)
    assert len(bench.values(rule, {"data.csv": "id,n,m\n1,5,6\n2,,no number\n"})) == 2


def test_the_branch_of_an_if_that_is_not_taken_cannot_fail(bench, csv_rule):
    nested = CALL.format("decimal", "")
    rule = csv_rule(
        "rml:functionExecution [ rml:function fn:if ; rml:input [ rml:parameter fn:condition ; rml:inputValueMap [ "
        + CALL.format("matches", ', [ rml:parameter fn:pattern ; rml:inputValue "^[0-9]+$" ]')
        + " ] ], [ rml:parameter fn:value ; rml:inputValueMap [ " + nested
        + ' ] ], [ rml:parameter fn:else ; rml:inputValue "text" ] ]'
    )  # fmt: skip
    assert bench.values(rule, {"data.csv": "id,n\n1,12\n2,abc\n"}) == {'"12"', '"text"'}


def test_old_function_mappings_are_understood(bench, csv_rule):
    rule = csv_rule(
        "<http://semweb.mmlab.be/ns/fnml#functionValue> [ rml:predicateObjectMap "
        "[ rml:predicate <https://w3id.org/function/ontology#executes> ; rml:object <" + functions.GREL + "toUpperCase> ], "
        "[ rml:predicate <" + functions.GREL + 'valueParam> ; rml:objectMap [ rml:reference "n" ] ] ]'
    )
    assert bench.values(rule, {"data.csv": "id,n\n1,abc\n"}) == {'"ABC"'}
