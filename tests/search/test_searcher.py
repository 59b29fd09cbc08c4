"""A searcher is anything that has these four names."""

from simferry.search.searcher import Searcher


class InTurn:
    """Asks for the points of a list."""

    def __init__(self, points):
        self.points, self.count = points, 0

    def ask(self):
        if self.over:
            return None
        point = self.points[self.count]
        self.asked(point)
        return point

    def asked(self, point):
        self.count += 1

    def tell(self, point, mean, mcse, replications, failed):
        pass

    @property
    def over(self):
        return f"{self.count} evaluations" if self.count == len(self.points) else ""


def test_a_log_that_is_replayed_leads_to_the_same_point():
    first, again = InTurn([{"n": 1}, {"n": 2}]), InTurn([{"n": 1}, {"n": 2}])
    assert isinstance(first, Searcher)
    again.asked(first.ask())
    assert again.ask() == first.ask() == {"n": 2}
    assert again.ask() is None and again.over == "2 evaluations"
