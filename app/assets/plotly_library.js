// Before the script of each component that draws with plotly (see app/plotly_component.py): whether it can draw now;
// where it cannot yet, `again` is called once it can.
function hasPlotly({ data, setStateValue }, again) {
  if (!window.Plotly && data.plotly) {
    const script = document.createElement("script")
    script.textContent = data.plotly
    document.head.appendChild(script)
    script.remove()
  }
  if (!window.Plotly) {
    window.bitfrontPlotly ??= data.chunk
      ? import(new URL(data.chunk, document.baseURI).href).catch(() => {})
      : Promise.resolve()
    window.bitfrontPlotly.then(() => (window.Plotly ? again() : setStateValue("plotly", "wanted")))
    return false
  }
  if (data.plotly) setStateValue("plotly", "held")
  return true
}

// A figure's layout in the page's colours and fonts.
function themed(layout, element) {
  const theme = getComputedStyle(element)
  const color = theme.getPropertyValue("--st-text-color") || theme.color
  return {
    ...structuredClone(layout),
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.getPropertyValue("--st-font") || theme.fontFamily, color, size: 12 },
    hoverlabel: {
      ...layout.hoverlabel,
      bgcolor: theme.getPropertyValue("--st-secondary-background-color"),
      font: { color },
    },
  }
}

