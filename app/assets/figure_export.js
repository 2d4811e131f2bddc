// Draws a figure out of sight and saves it as a picture (see app/figure_export.py).
export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".figure-export")
  if (!root || !data) return
  const draw = () => root.isConnected && drawButtons(root, data)
  if (hasPlotly(component, draw)) draw()
}

function drawButtons(root, data) {
  root.replaceChildren(
    ...data.pictures.map(({ label, options }) => {
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = label
      button.onclick = async () => {
        button.disabled = true
        const figure = JSON.parse(data.figure)
        const place = document.createElement("div")
        place.style.cssText = "position:absolute;left:-10000px;top:0"
        document.body.appendChild(place)
        try {
          await window.Plotly.newPlot(place, figure.data, figure.layout, { staticPlot: true })
          // Not plotly's downloadImage: its link is clicked outside of the popover, which would close.
          const link = document.createElement("a")
          link.href = await window.Plotly.toImage(place, options)
          link.download = `${options.filename}.${options.format}`
          root.appendChild(link)
          link.click()
          link.remove()
        } finally {
          window.Plotly.purge(place)
          place.remove()
          button.disabled = false
        }
      }
      return button
    }),
  )
}
