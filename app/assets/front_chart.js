// Keeps one front and hands it each new figure. A click on a point says its group; with the chart in focus the arrow
// keys go from point to point, and Enter or the space bar picks (see app/front_chart.py).
const charts = new WeakMap()
const MARGIN = 60 // pixels beside the plot: the upright axis
const REACH = 25 // pixels from a point within which a click is for it
const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -Infinity, End: Infinity }

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
  const figure = JSON.parse(data.figure)
  root.setAttribute("aria-label", data.alt)
  root.parentElement.setAttribute("aria-label", `${data.alt}. ${data.keys}`)
  const narrow = isNarrow(root, figure)
  const traces = narrow ? figure.data.map((trace) => ({ ...trace, ...trace.meta?.narrow })) : figure.data
  window.Plotly.react(root, traces, themed(figure.layout, root), data.config)
  const chart = charts.get(root) ?? listen(root)
  chart.drawAgain = () => isNarrow(root, figure) !== narrow && drawFront(root, { data, setTriggerValue })
  chart.pick = (group) => setTriggerValue("pick", group)
  chart.picked = data.picked
  if (chart.at) mark(root)
  return true
}

// Whether the names' places are those for a phone.
const isNarrow = (root, { layout }) => root.clientWidth < layout.meta.width + MARGIN

function listen(root) {
  const chart = {
    at: null, // the group that the keys are at
    picked: [],
    observer: new ResizeObserver(() => {
      if (!root.isConnected || chart.drawAgain?.()) return
      window.Plotly.Plots.resize(root).catch(() => {})
    }),
  }
  charts.set(root, chart)
  chart.observer.observe(root)
  if (root.dataset.listens) return chart
  root.dataset.listens = "true"
  const groupOf = ({ points }) => points[0]?.customdata?.[0]
  root.on("plotly_click", (event) => {
    const group = pointAt(root, event.event)?.group ?? groupOf(event)
    if (group) charts.get(root)?.pick(group)
  })
  root.on("plotly_hover", (event) => root.classList.toggle("over-point", Boolean(groupOf(event))))
  root.on("plotly_unhover", () => root.classList.remove("over-point"))
  root.on("plotly_afterplot", () => charts.get(root)?.at && mark(root)) // zoomed, resized, a family hidden
  root.parentElement.addEventListener("keydown", (event) => onKey(root, event))
  root.parentElement.addEventListener("blur", () => leave(root))
  return chart
}

function onKey(root, event) {
  const chart = charts.get(root)
  if (!chart || event.target !== root.parentElement || event.ctrlKey || event.altKey || event.metaKey) return
  if (event.key in STEPS) step(root, chart, STEPS[event.key])
  else if (!chart.at) return
  else if (event.key === "Escape") leave(root)
  else if (event.key === "Enter" || event.key === " ") chart.pick(chart.at)
  else return
  event.preventDefault()
  event.stopPropagation()
}

function step(root, chart, by) {
  const points = pointsOf(root)
  const now = points.findIndex((point) => point.group === chart.at)
  const next = now >= 0 || !Number.isFinite(by) ? now + by : by > 0 ? 0 : points.length - 1
  chart.at = points[Math.max(0, Math.min(points.length - 1, next))]?.group ?? null
  mark(root)
}

// The points that can be seen, from left to right, one above the other from below.
function pointsOf(root) {
  const { xaxis, yaxis } = root._fullLayout
  const found = root._fullData.flatMap((trace, curveNumber) =>
    trace.visible !== true || !trace.customdata
      ? []
      : trace.customdata.map(([group, text], pointNumber) => ({
          ...{ group, text, curveNumber, pointNumber },
          x: xaxis.d2p(trace.x[pointNumber]),
          y: yaxis.d2p(trace.y[pointNumber]),
        })),
  )
  const inside = (place, axis) => place >= -1 && place <= axis._length + 1
  return found
    .filter((point) => inside(point.x, xaxis) && inside(point.y, yaxis))
    .sort((one, other) => one.x - other.x || other.y - one.y)
}

// The point that a click is for: right after a new figure plotly may name the one that the mouse was over before.
function pointAt(root, { clientX, clientY }) {
  const { left, top } = root.getBoundingClientRect()
  const { xaxis, yaxis } = root._fullLayout
  const away = ({ x, y }) => Math.hypot(left + xaxis._offset + x - clientX, top + yaxis._offset + y - clientY)
  const points = pointsOf(root).filter((point) => away(point) <= REACH)
  return points.reduce((best, point) => (best && away(best) <= away(point) ? best : point), null)
}

// Shows where the keys are, as the mouse would, and says it.
function mark(root) {
  const chart = charts.get(root)
  const [ring, said] = [".front-ring", ".front-said"].map((name) => root.parentElement.querySelector(name))
  const point = pointsOf(root).find(({ group }) => group === chart.at)
  ring.hidden = !point
  if (!point) {
    chart.at = null
    said.textContent = ""
    return
  }
  const { xaxis, yaxis } = root._fullLayout
  ring.style.left = `${xaxis._offset + point.x}px`
  ring.style.top = `${yaxis._offset + point.y}px`
  const { curveNumber, pointNumber } = point
  window.Plotly.Fx.hover(root, [{ curveNumber, pointNumber }])
  const words = new DOMParser().parseFromString(point.text.replaceAll("<br>", ". "), "text/html").body.textContent
  const now = chart.picked.includes(point.group) ? `Picked: ${words}` : words
  if (said.textContent !== now) said.textContent = now
}

function leave(root) {
  const chart = charts.get(root)
  if (!chart?.at) return
  chart.at = null
  root.parentElement.querySelector(".front-ring").hidden = true
  root.parentElement.querySelector(".front-said").textContent = ""
  window.Plotly.Fx.unhover(root)
}
