// SPDX-License-Identifier: Apache-2.0
#include "app/gui/scene_renderer.h"

#include <vtkActor.h>
#include <vtkCamera.h>
#include <vtkCellArray.h>
#include <vtkColorTransferFunction.h>
#include <vtkDoubleArray.h>
#include <vtkFloatArray.h>
#include <vtkGenericOpenGLRenderWindow.h>
#include <vtkImageData.h>
#include <vtkMatrix4x4.h>
#include <vtkNew.h>
#include <vtkOpenGLGPUVolumeRayCastMapper.h>
#include <vtkPiecewiseFunction.h>
#include <vtkPlane.h>
#include <vtkPlaneCollection.h>
#include <vtkPointData.h>
#include <vtkPoints.h>
#include <vtkPolyData.h>
#include <vtkPolyDataMapper.h>
#include <vtkProperty.h>
#include <vtkRenderer.h>
#include <vtkShortArray.h>
#include <vtkSmartPointer.h>
#include <vtkUnsignedCharArray.h>
#include <vtkUnsignedShortArray.h>
#include <vtkVolume.h>
#include <vtkVolumeProperty.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace avocet::gui {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;

struct DrawnSurface {
  std::shared_ptr<const io::Surface> source;
  vtkSmartPointer<vtkActor> actor;
};

vtkSmartPointer<vtkActor> ActorOf(const io::Surface& surface) {
  vtkNew<vtkPoints> points;
  points->SetDataTypeToFloat();
  points->SetNumberOfPoints(static_cast<vtkIdType>(surface.vertices.size()));
  std::vector<Vec3> normals(surface.vertices.size(), Vec3{});
  vtkNew<vtkCellArray> cells;
  for (const auto& triangle : surface.triangles) {
    const vtkIdType ids[3] = {triangle[0], triangle[1], triangle[2]};
    cells->InsertNextCell(3, ids);
    const auto& a = surface.vertices[triangle[0]];
    const Vec3 normal = Cross(Subtract(surface.vertices[triangle[1]], a),
                              Subtract(surface.vertices[triangle[2]], a));
    for (const uint32_t corner : triangle) normals[corner] = Add(normals[corner], normal);
  }
  vtkNew<vtkFloatArray> point_normals;
  point_normals->SetNumberOfComponents(3);
  point_normals->SetNumberOfTuples(static_cast<vtkIdType>(normals.size()));
  for (size_t i = 0; i < normals.size(); ++i) {
    const auto id = static_cast<vtkIdType>(i);
    points->SetPoint(id, surface.vertices[i].data());
    const double length = Norm(normals[i]);
    const Vec3 unit = length > 0 ? Scale(normals[i], 1 / length) : Vec3{0, 0, 1};
    point_normals->SetTuple3(id, unit[0], unit[1], unit[2]);
  }
  vtkNew<vtkPolyData> mesh;
  mesh->SetPoints(points);
  mesh->SetPolys(cells);
  mesh->GetPointData()->SetNormals(point_normals);
  vtkNew<vtkPolyDataMapper> mapper;
  mapper->SetInputData(mesh);
  mapper->ScalarVisibilityOff();
  auto actor = vtkSmartPointer<vtkActor>::New();
  actor->SetMapper(mapper);
  vtkProperty* look = actor->GetProperty();
  look->SetInterpolationToPhong();
  look->SetAmbient(0.15);
  look->SetDiffuse(0.85);
  look->SetSpecular(0.2);
  look->SetSpecularPower(20);
  return actor;
}

// The voxels as they lie in memory where VTK can draw them so; everything else as float.
vtkSmartPointer<vtkDataArray> ScalarsOf(const io::Volume& volume, int64_t frame) {
  const int64_t count = volume.geometry.VoxelCount();
  const auto borrow = [&](auto array, auto* first) -> vtkSmartPointer<vtkDataArray> {
    // 1: VTK does not free it.
    array->SetArray(const_cast<std::remove_const_t<std::remove_pointer_t<decltype(first)>>*>(
                        first + frame * count),
                    count, 1);
    return array;
  };
  switch (volume.type) {
    case io::VoxelType::kUInt8:
      return borrow(vtkSmartPointer<vtkUnsignedCharArray>::New(), volume.As<uint8_t>());
    case io::VoxelType::kInt16:
      return borrow(vtkSmartPointer<vtkShortArray>::New(), volume.As<int16_t>());
    case io::VoxelType::kUInt16:
      return borrow(vtkSmartPointer<vtkUnsignedShortArray>::New(), volume.As<uint16_t>());
    case io::VoxelType::kFloat32:
      return borrow(vtkSmartPointer<vtkFloatArray>::New(), volume.As<float>());
    default:
      break;
  }
  io::Volume stored;  // unscaled: the transfer functions know the scaling
  stored.geometry = volume.geometry;
  auto array = vtkSmartPointer<vtkFloatArray>::New();
  array->SetNumberOfTuples(count);
  const std::vector<float> values = volume.ToFloat(frame);
  const double slope = volume.scaling.slope;
  for (int64_t i = 0; i < count; ++i) {
    array->SetValue(i, static_cast<float>((values[i] - volume.scaling.inter) / slope));
  }
  return array;
}

// Colour and opacity by real value.
struct Transfer {
  struct Point {
    double value, red, green, blue, opacity;
  };
  std::vector<Point> points;
};
Transfer TransferOf(const Scene& scene) {
  switch (scene.preset) {
    case VolumePreset::kSoftTissue:
      return {{{-160, 0.35, 0.15, 0.1, 0},
               {-20, 0.65, 0.35, 0.25, 0.02},
               {60, 0.85, 0.5, 0.4, 0.15},
               {160, 0.95, 0.75, 0.65, 0.35},
               {500, 1, 0.97, 0.9, 0.7}}};
    case VolumePreset::kBone:
      return {{{150, 0.6, 0.4, 0.3, 0},
               {300, 0.85, 0.75, 0.6, 0.15},
               {700, 1, 0.95, 0.85, 0.6},
               {1800, 1, 1, 1, 0.85}}};
    case VolumePreset::kAngiography:
      return {{{110, 0.6, 0.1, 0.08, 0},
               {180, 0.85, 0.25, 0.2, 0.2},
               {350, 1, 0.7, 0.6, 0.6},
               {900, 1, 1, 0.95, 0.8}}};
    default:
      break;
  }
  const double low = scene.window.Low();
  const double width = scene.window.width;
  return {{{low + 0.35 * width, 0.25, 0.25, 0.28, 0},
           {low + 0.6 * width, 0.6, 0.58, 0.55, 0.06},
           {low + 1.0 * width, 1, 0.97, 0.92, 0.35}}};
}

}  // namespace

struct SceneRenderer::State {
  vtkNew<vtkGenericOpenGLRenderWindow> window;
  vtkNew<vtkRenderer> renderer;
  std::vector<DrawnSurface> surfaces;
  std::shared_ptr<const io::Volume> volume;
  int64_t frame = 0;
  vtkSmartPointer<vtkImageData> image;
  vtkSmartPointer<vtkOpenGLGPUVolumeRayCastMapper> ray_caster;
  vtkSmartPointer<vtkVolume> prop;
  vtkNew<vtkUnsignedCharArray> read_back;

  void ShowSurfaces(const Scene& scene, vtkPlaneCollection* clip);
  void ShowVolume(const Scene& scene, vtkPlaneCollection* clip);
  void Look(const Camera& camera, double aspect);
};

SceneRenderer::SceneRenderer() : state_(std::make_unique<State>()) {
  vtkGenericOpenGLRenderWindow* window = state_->window;
  // VTK must believe that it may draw: the context is current and ours.
  window->SetReadyForRendering(true);
  window->SetIsCurrent(true);
  window->SetMapped(true);
  window->SetOwnContext(false);
  window->OpenGLInitContext();
  window->OpenGLInitState();
  window->SetFrameBlitModeToNoBlit();
  window->SetMultiSamples(4);
  window->AddRenderer(state_->renderer);
  state_->renderer->SetBackground(0.063, 0.071, 0.082);
}

SceneRenderer::~SceneRenderer() { state_->window->Finalize(); }

void SceneRenderer::State::ShowSurfaces(const Scene& scene, vtkPlaneCollection* clip) {
  std::vector<DrawnSurface> kept;
  for (const SceneSurface& wanted : scene.surfaces) {
    const auto found =
        std::find_if(surfaces.begin(), surfaces.end(), [&](const DrawnSurface& drawn) {
          return drawn.source == wanted.surface && drawn.actor != nullptr;
        });
    DrawnSurface drawn;
    if (found != surfaces.end()) {
      drawn = *found;
      found->actor = nullptr;
    } else {
      drawn.source = wanted.surface;
      drawn.actor = ActorOf(*wanted.surface);
      renderer->AddActor(drawn.actor);
    }
    drawn.actor->GetProperty()->SetColor(wanted.colour[0] / 255.0, wanted.colour[1] / 255.0,
                                         wanted.colour[2] / 255.0);
    drawn.actor->GetProperty()->SetOpacity(wanted.opacity);
    drawn.actor->GetMapper()->SetClippingPlanes(clip);
    kept.push_back(std::move(drawn));
  }
  for (const DrawnSurface& drawn : surfaces) {
    if (drawn.actor != nullptr) renderer->RemoveActor(drawn.actor);
  }
  surfaces = std::move(kept);
}

void SceneRenderer::State::ShowVolume(const Scene& scene, vtkPlaneCollection* clip) {
  const bool wanted = scene.preset != VolumePreset::kOff && scene.volume != nullptr &&
                      scene.volume->components == 1;
  if (!wanted) {
    if (prop != nullptr) renderer->RemoveVolume(prop);
    prop = nullptr;
    ray_caster = nullptr;
    image = nullptr;
    volume.reset();
    return;
  }
  if (volume != scene.volume || frame != scene.frame || prop == nullptr) {
    if (prop != nullptr) renderer->RemoveVolume(prop);
    volume = scene.volume;
    frame = scene.frame;
    const io::Geometry& g = volume->geometry;
    image = vtkSmartPointer<vtkImageData>::New();
    image->SetDimensions(static_cast<int>(g.size[0]), static_cast<int>(g.size[1]),
                         static_cast<int>(g.size[2]));
    image->SetSpacing(g.spacing.data());
    image->GetPointData()->SetScalars(ScalarsOf(*volume, frame));
    ray_caster = vtkSmartPointer<vtkOpenGLGPUVolumeRayCastMapper>::New();
    ray_caster->SetInputData(image);
    ray_caster->SetAutoAdjustSampleDistances(0);
    prop = vtkSmartPointer<vtkVolume>::New();
    prop->SetMapper(ray_caster);
    // The image lies in the patient by its direction and origin, sheared ones included.
    vtkNew<vtkMatrix4x4> place;
    for (int row = 0; row < 3; ++row) {
      for (int axis = 0; axis < 3; ++axis) {
        place->SetElement(row, axis, g.direction[row * 3 + axis]);
      }
      place->SetElement(row, 3, g.origin[row]);
    }
    prop->SetUserMatrix(place);
    renderer->AddVolume(prop);
  }
  const double step =
      *std::min_element(volume->geometry.spacing.begin(), volume->geometry.spacing.end());
  ray_caster->SetSampleDistance(static_cast<float>(step * (scene.fast ? 3 : 1)));
  ray_caster->SetImageSampleDistance(scene.fast ? 2 : 1);
  ray_caster->SetClippingPlanes(clip);
  vtkNew<vtkColorTransferFunction> colours;
  vtkNew<vtkPiecewiseFunction> opacity;
  const double slope = volume->scaling.slope;
  for (const auto& point : TransferOf(scene).points) {
    const double stored = (point.value - volume->scaling.inter) / slope;
    colours->AddRGBPoint(stored, point.red, point.green, point.blue);
    opacity->AddPoint(stored, point.opacity);
  }
  vtkNew<vtkVolumeProperty> look;
  look->SetColor(colours);
  look->SetScalarOpacity(opacity);
  look->SetScalarOpacityUnitDistance(1.0);
  look->SetInterpolationTypeToLinear();
  look->SetShade(scene.fast ? 0 : 1);
  look->SetAmbient(0.25);
  look->SetDiffuse(0.8);
  look->SetSpecular(0.15);
  prop->SetProperty(look);
}

void SceneRenderer::State::Look(const Camera& camera, double aspect) {
  const double azimuth = camera.azimuth * kDegree;
  const double elevation = camera.elevation * kDegree;
  // From anterior (-y in LPS), turning to the patient's left (+x) and superior (+z).
  const Vec3 from{std::sin(azimuth) * std::cos(elevation), -std::cos(azimuth) * std::cos(elevation),
                  std::sin(elevation)};
  const double angle = 30;
  const double narrow = std::min(1.0, aspect);
  const double away = camera.radius / std::sin(angle / 2 * kDegree) / narrow * camera.distance;
  vtkCamera* vtk = renderer->GetActiveCamera();
  vtk->SetViewAngle(angle);
  vtk->SetFocalPoint(camera.focus.data());
  const Vec3 position = Add(camera.focus, Scale(from, away));
  vtk->SetPosition(position.data());
  vtk->SetViewUp(0, 0, 1);
  renderer->ResetCameraClippingRange();
}

void SceneRenderer::Draw(const Scene& scene, uint32_t* pixels) {
  State& s = *state_;
  s.window->SetSize(scene.width, scene.height);
  vtkNew<vtkPlaneCollection> clip;
  for (const auto& [point, normal] : scene.clip) {
    vtkNew<vtkPlane> plane;
    plane->SetOrigin(point[0], point[1], point[2]);
    plane->SetNormal(normal[0], normal[1], normal[2]);
    clip->AddItem(plane);
  }
  s.ShowSurfaces(scene, clip);
  s.ShowVolume(scene, clip);
  s.Look(scene.camera, static_cast<double>(scene.width) / std::max(1, scene.height));
  s.window->Render();
  s.window->GetRGBACharPixelData(0, 0, scene.width - 1, scene.height - 1, 0, s.read_back);
  const unsigned char* bytes = s.read_back->GetPointer(0);
  if (s.read_back->GetNumberOfTuples() < static_cast<vtkIdType>(scene.width) * scene.height) return;
  for (int y = 0; y < scene.height; ++y) {
    const unsigned char* row = bytes + 4 * static_cast<size_t>(scene.height - 1 - y) * scene.width;
    for (int x = 0; x < scene.width; ++x, row += 4) {
      *pixels++ = 0xff000000u | static_cast<uint32_t>(row[0]) << 16 |
                  static_cast<uint32_t>(row[1]) << 8 | row[2];
    }
  }
}

}  // namespace avocet::gui
