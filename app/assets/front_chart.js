// Keeps one front and hands it each new figure; a click on a point says its group (see app/front_chart.py).
const charts = new WeakMap()

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".front-chart")
  if (!root || !data) return
  const draw = () => root.isConnected && drawFront(root, component)
  if (hasPlotly(component, draw)) draw()
  return () => {
    charts.get(root)?.observer.disconnect()
    charts.delete(root)
  }
}

function drawFront(root, { data, setTriggerValue }) {
  const { data: traces, layout } = JSON.parse(data.figure)
  root.setAttribute("aria-label", data.alt)
  window.Plotly.react(root, traces, themed(layout, root), data.config)
  const chart = charts.get(root) ?? listen(root)
  chart.pick = (group) => setTriggerValue("pick", group)
}

function listen(root) {
  const chart = {
    observer: new ResizeObserver(() => {
      if (root.isConnected) window.Plotly.Plots.resize(root).catch(() => {})
    }),
  }
  charts.set(root, chart)
  chart.observer.observe(root)
  if (root.dataset.listens) return chart
  root.dataset.listens = "true"
  const groupOf = ({ points }) => points[0]?.customdata?.[0]
  root.on("plotly_click", (event) => groupOf(event) && charts.get(root)?.pick(groupOf(event)))
  root.on("plotly_hover", (event) => root.classList.toggle("over-point", Boolean(groupOf(event))))
  root.on("plotly_unhover", () => root.classList.remove("over-point"))
  return chart
}
