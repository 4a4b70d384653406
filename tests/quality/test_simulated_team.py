"""The short version of script/simulate_team: dashboards recover what was planted."""

from bench.simulate_team import CARELESS, Photographs, Team, tell


def test_the_dashboards_recover_what_was_planted(db, shared_data, capsys):
    found = Team(Photographs(shared_data), images=6).run()
    assert found.careless == CARELESS
    assert sorted(found.found_pair) == sorted(found.planted_pair)
    assert found.versions["v2"] < found.versions["v1"] - 0.05
    assert found.planted
    assert found.recall >= 0.6
    assert found.precision > 3 * found.by_chance
    assert tell(found)
    assert "careless annotator: planted carl, found carl" in capsys.readouterr().out
