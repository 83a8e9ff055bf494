/* Charts: plotly draws them, the style sheet colours text and lines, so both themes fit. */

const QUIET = { showgrid: true, zeroline: false, ticks: "", fixedrange: true };

function startCharts() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const { traces, layout } = DATA[place.closest("section").id].charts[place.dataset.chart];
    const { xaxis, yaxis, ...rest } = layout;
    Plotly.newPlot(
      place,
      traces,
      {
        height: 380,
        margin: { l: 20, r: 16, t: 12, b: 20 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { size: 13, family: getComputedStyle(document.body).fontFamily },
        showlegend: true,
        legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom" },
        hovermode: "closest",
        dragmode: false,
        xaxis: axisOf(xaxis),
        yaxis: axisOf(yaxis),
        ...rest,
      },
      { displayModeBar: false, responsive: true },
    );
  }
}

function axisOf(axis) {
  return { ...QUIET, ...axis, title: { ...axis.title, font: { size: 13 }, standoff: 12 } };
}
