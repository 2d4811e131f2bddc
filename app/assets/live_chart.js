// Keeps one plotly chart and hands it each new figure (see app/live_chart.py).
const watched = new WeakMap()

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".live-chart")
  if (!root || !data) return
  if (!hasPlotly(component)) return

  const figure = JSON.parse(data.figure)
  const theme = getComputedStyle(root)
  const layout = {
    ...figure.layout,
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: {
      family: theme.getPropertyValue("--st-font") || theme.fontFamily,
      color: theme.getPropertyValue("--st-text-color") || theme.color,
      size: 12,
    },
    hoverlabel: {
      ...figure.layout.hoverlabel,
      bgcolor: theme.getPropertyValue("--st-secondary-background-color"),
      font: { color: theme.getPropertyValue("--st-text-color") },
    },
  }
  root.setAttribute("aria-label", data.alt)
  window.Plotly.react(root, figure.data, layout, data.config)

  if (!watched.has(root)) {
    const observer = new ResizeObserver(() => {
      if (root.isConnected) window.Plotly.Plots.resize(root).catch(() => {})
    })
    observer.observe(root)
    watched.set(root, observer)
  }
  // No purge: a resize that plotly has put off by some milliseconds would find its chart gone.
  return () => {
    watched.get(root)?.disconnect()
    watched.delete(root)
  }
}
