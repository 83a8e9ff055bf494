"""A check, a prediction or a study as one self-contained HTML page."""

from superpose.report.check import check_page
from superpose.report.compare import compare_page
from superpose.report.index import ON_AN_INDEX_PAGE, index_page
from superpose.report.library import library_page
from superpose.report.lineage import lineage_page
from superpose.report.made import Making
from superpose.report.page import Page, ready, render, write_page
from superpose.report.paper import write_paper
from superpose.report.predict import predict_page
from superpose.report.study import study_page
from superpose.report.tune import tune_page

__all__ = [
    "ON_AN_INDEX_PAGE",
    "Making",
    "Page",
    "check_page",
    "compare_page",
    "index_page",
    "library_page",
    "lineage_page",
    "predict_page",
    "ready",
    "render",
    "study_page",
    "tune_page",
    "write_page",
    "write_paper",
]
